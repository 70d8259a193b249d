
edr_listener* listener; /* is told of keywords in a stream, in pieces of any length */
code = edr_open_listener(&APP, "data", &(edr_options){.library = library}, &listener, &why);
if (!code) code = edr_listen(listener, samples, count, on_detection, NULL, &why);
edr_close_listener(listener);
