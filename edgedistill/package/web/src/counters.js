// Counts of what a model answered, to tell drift by; no picture and no sound is in them.

export class Counters {
  /** app: app.json. */
  constructor(app) {
    this.bundle = app.origin.bundle;
    this.edges = app.counting?.edges ?? [];
    this.samples = 0;
    this.routed = 0;
    this.classes = app.labels.map(() => 0);
    this.confidences = new Array(this.edges.length + 1).fill(0);
  }

  /** Count one answer: the place of its label, its confidence, and whether it is to be routed. */
  count(place, confidence, route) {
    this.samples += 1;
    this.classes[place] += 1;
    this.confidences[this.edges.filter((edge) => edge <= confidence).length] += 1;
    if (route) this.routed += 1;
  }

  /** What `edgedistill drift` reads. */
  document() {
    const { bundle, samples, classes, edges, confidences, routed } = this;
    return { format: 1, bundle, samples, classes, edges, confidences, routed };
  }
}
