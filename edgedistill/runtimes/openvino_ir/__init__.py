"""What knows OpenVINO's graphs: keeping their rounding, and their layers as they run."""
