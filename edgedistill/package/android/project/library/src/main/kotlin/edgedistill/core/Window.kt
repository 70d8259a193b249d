package edgedistill.core

import kotlin.math.log10
import kotlin.math.max
import kotlin.math.min

/** The window of a recording (16 bits, one channel, at `rate`) that the model hears, -1..1. */
internal fun Sound.window(recording: ShortArray): FloatArray {
    val start = start(recording)
    return FloatArray(samples) {
        val at = start + it
        if (at in recording.indices) real(recording[at]) else 0f
    }
}

internal fun real(sample: Short): Float = sample * (1f / 32768)

private fun Sound.start(recording: ShortArray): Int {
    val spare = recording.size - samples
    return when {
        cut == "middle" -> spare.floorDiv(2)
        cut == "spoken" && spare > 0 ->
            (spokenUntil(recording) + rate * AFTER_MS / 1000 - samples).coerceIn(0, spare)
        else -> spare
    }
}

private const val FRAME_MS = 10
private const val LOUD_DB = 30.0
private const val ABOVE_DB = 6.0
private const val QUIET_SHARE = 0.2
private const val MOST_SHARE = 0.9
private const val AFTER_MS = 250

/** Where the shortest stretch ends that has most of the recording's loudness, in samples. */
private fun Sound.spokenUntil(recording: ShortArray): Int {
    val frame = max(1, rate * FRAME_MS / 1000)
    val count = recording.size / frame
    if (count == 0) return recording.size
    val level = levels(recording, frame, count)
    val quiet = max(quantile(level, QUIET_SHARE) + ABOVE_DB, level.max() - LOUD_DB)
    val until = DoubleArray(count + 1)
    for (place in 0 until count) until[place + 1] = until[place] + max(level[place] - quiet, 0.0)
    val longest = min(max(1, samples / frame), count)
    val most = (0..count - longest).maxOf { until[it + longest] - until[it] }
    if (most == 0.0) return recording.size
    var best = 0 to count + 1
    for (begin in 0 until count) {
        val wanted = until[begin] + MOST_SHARE * most
        val end = until.indexOfFirst { it >= wanted }
        if (end >= 0 && end - begin < best.second) best = begin to end - begin
    }
    return (best.first + best.second) * frame
}

/** Decibels of each frame's mean power, smoothed over three. */
private fun levels(recording: ShortArray, frame: Int, count: Int): DoubleArray {
    val power = DoubleArray(count) { place ->
        (0 until frame).sumOf { recording[place * frame + it].toDouble().let { x -> x * x } } / frame
    }
    return DoubleArray(count) { place ->
        val around = (max(0, place - 1)..min(count - 1, place + 1)).sumOf { power[it] / 3 }
        10 * log10(around + 1e-3)
    }
}

/** Between the two values about it, as NumPy's. */
private fun quantile(values: DoubleArray, share: Double): Double {
    val sorted = values.sortedArray()
    val at = share * (sorted.size - 1)
    val below = at.toInt()
    val above = min(below + 1, sorted.size - 1)
    return sorted[below] + (at - below) * (sorted[above] - sorted[below])
}
