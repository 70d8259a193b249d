"""From probabilities to keywords heard: the rule, its figures, the long audio to try it on."""
