edr_listener* listener;
edr_code code = edr_open_listener(&APP, "data", &(edr_options){.library = library}, &listener, &why);
if (!code) code = edr_listen(listener, samples, count, on_detection, NULL, &why); /* and so on */
edr_close_listener(listener);
