package edgedistill.core

import java.nio.ByteBuffer

/** A keyword that was heard. */
class Detection(
    val keyword: String,
    /** From the beginning of the stream to the end of the step that heard it. */
    val seconds: Double,
    /** The keyword's smoothed probability, 0..1. */
    val confidence: Double,
)

/** Listens to one stream: samples in, in pieces of any length, keywords out. */
internal class Ear(private val app: App, private val step: (FloatArray) -> DoubleArray) {
    private val listening = requireNotNull(app.listening) { "${app.name} does not listen" }
    private val keywords = listening.thresholds.keys.map { name ->
        app.labels.indexOf(name).also { require(it >= 0) { "`$name` is none of the labels" } }
    }
    private val names = listening.thresholds.keys.toList()
    private val thresholds = listening.thresholds.values.toDoubleArray()
    private val hop = FloatArray(listening.hop)
    private var filled = 0
    private var steps = 0L
    private val last = LongArray(names.size) { Long.MIN_VALUE }

    // The latest probabilities of each keyword, the oldest first; zero before the first step.
    private val recent = ArrayDeque(List(listening.smoothing) { DoubleArray(names.size) })

    init {
        repeat(listening.leadIn / listening.hop) { step(FloatArray(listening.hop)) }
    }

    /** What is heard in these samples and what was left of those before. */
    fun feed(samples: ShortArray): List<Detection> {
        val found = ArrayList<Detection>()
        for (sample in samples) {
            hop[filled++] = real(sample)
            if (filled == hop.size) {
                filled = 0
                hear(found)
            }
        }
        return found
    }

    private fun hear(found: MutableList<Detection>) {
        val probabilities = softmax(step(hop), app.temperature)
        recent.removeFirst()
        recent.addLast(DoubleArray(keywords.size) { probabilities[keywords[it]] })
        for (place in keywords.indices) {
            var sum = 0.0
            for (each in recent) sum += each[place]
            val smooth = sum / recent.size
            val rested = last[place] == Long.MIN_VALUE || steps - last[place] > listening.refractory
            if (smooth > thresholds[place] && rested) {
                last[place] = steps
                val seconds = (steps + 1) * listening.hop.toDouble() / listening.rate
                found += Detection(names[place], seconds, smooth)
            }
        }
        steps++
    }
}

/** The real answers of a program that keeps a state, to one input after the other. */
internal fun stepping(stream: Stream, file: ModelFile): (FloatArray) -> DoubleArray {
    val input = file.fresh.single()
    return { values ->
        val given: ByteBuffer = stream.step(mapOf(input.name to input.encode(values)))
            .getValue(file.answer.name)
        val real = file.answer.decode(given)
        DoubleArray(real.size) { real[it].toDouble() }
    }
}
