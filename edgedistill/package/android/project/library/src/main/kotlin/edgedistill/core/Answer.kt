package edgedistill.core

import kotlin.math.exp
import kotlin.math.sqrt

/** What a model says of one picture or sound. */
class Answer(
    /** The likeliest; null of a model that measures. */
    val label: String?,
    /** The label's probability, 0..1; null of a model that measures. */
    val confidence: Double?,
    /** By label; of a model that measures, the values by their names. */
    val probabilities: Map<String, Double>,
    /** Whether the teacher should be asked instead: the confidence is below the threshold. */
    val route: Boolean,
)

/** From real outputs to answers. */
internal class Answering(private val app: App, files: Files) {
    private val texts: FloatArray? = app.texts?.let { told ->
        val rows = numbers(buffer(files.bytes(told.file)), "float32")
        FloatArray(rows.size) { rows[it].toFloat() }
    }

    /** Of a model that compares with texts, its embedding as logits; else the outputs. */
    fun logits(outputs: FloatArray): DoubleArray {
        val rows = texts ?: return DoubleArray(outputs.size) { outputs[it].toDouble() }
        val length = sqrt(outputs.sumOf { it.toDouble() * it })
        return DoubleArray(app.labels.size) { row ->
            var sum = 0.0
            for (place in outputs.indices) sum += rows[row * outputs.size + place] * outputs[place]
            sum / length * app.texts!!.scale
        }
    }

    fun answer(logits: DoubleArray): Answer {
        val values = when (app.activation) {
            "softmax" -> softmax(logits, app.temperature)
            "sigmoid" -> DoubleArray(logits.size) { 1 / (1 + exp(-logits[it] / app.temperature)) }
            else -> logits
        }
        val named = app.labels.indices.associate { app.labels[it] to values[it] }
        // Several labels may be true at once, and values are no labels.
        if (app.activation == "none") return Answer(null, null, named, false)
        val best = likeliest(values)
        val route = app.threshold?.let { values[best] < it } ?: false
        return Answer(app.labels[best], values[best], named, route)
    }
}

/** Probabilities of logits, divided by `temperature`. */
internal fun softmax(logits: DoubleArray, temperature: Double): DoubleArray {
    val highest = logits.max()
    val powers = DoubleArray(logits.size) { exp((logits[it] - highest) / temperature) }
    val sum = powers.sum()
    return DoubleArray(powers.size) { powers[it] / sum }
}

/** The place of the largest, the first of equals. */
internal fun likeliest(values: DoubleArray): Int = values.indices.maxBy { values[it] }

/** Counts of answers, which tell whether the model still sees what it was trained on. No picture
 * and no sound is in them. */
internal class Counters(private val app: App) {
    private val edges = app.counting?.edges ?: DoubleArray(0)
    private val classes = IntArray(app.labels.size)
    private val confidences = IntArray(edges.size + 1)
    private var samples = 0
    private var routed = 0

    @Synchronized
    fun add(logits: DoubleArray, answer: Answer) {
        val counting = app.counting ?: return
        val counted = softmax(logits, counting.temperature)
        val best = likeliest(counted)
        samples++
        classes[best]++
        confidences[edges.count { it <= counted[best] }]++
        if (answer.route) routed++
    }

    /** JSON, as `edgedistill drift` reads it. */
    @Synchronized
    fun json(): String = Json.write(
        mapOf(
            "format" to 1,
            "bundle" to app.bundle,
            "samples" to samples,
            "classes" to classes,
            "edges" to edges,
            "confidences" to confidences,
            "routed" to routed,
        )
    )
}
