"""What knows the TFLite flatbuffer: reading, editing and laying it out anew."""
