package edgedistill.core

import kotlin.math.max
import kotlin.math.min

/** Parts a recording of any length where it is quietest, into pieces of at most `window` samples.
 * What is held is little more than a window. */
internal class Parting(private val window: Int, private val rate: Int) {
    private val least = min(rate, window / 2)
    private var held = ShortArray(0)

    /** The pieces that these samples complete. */
    fun feed(samples: ShortArray): List<ShortArray> {
        held += samples
        val found = ArrayList<ShortArray>()
        while (held.size >= window + least) found += taken(window)
        return found
    }

    /** The pieces of what is left. */
    fun rest(): List<ShortArray> {
        val found = ArrayList<ShortArray>()
        if (held.size > window) found += taken(held.size - least)
        if (held.isNotEmpty()) found += held
        held = ShortArray(0)
        return found
    }

    private fun taken(last: Int): ShortArray {
        val at = quietest(held, window / 2, last)
        val piece = held.copyOf(at)
        held = held.copyOfRange(at, held.size)
        return piece
    }

    /** The place about which 200 ms within a window have the least mean power; of equals the
     * latest. */
    private fun quietest(samples: ShortArray, first: Int, last: Int): Int {
        val step = max(1, rate * STEP_MS / 1000)
        val half = max(1, rate * PAUSE_MS / 2000)
        val energy = LongArray(window + 1)
        for (place in 0 until window) {
            energy[place + 1] = energy[place] + samples[place].toLong() * samples[place]
        }
        var best = first
        var least = Double.POSITIVE_INFINITY
        for (place in first..last step step) {
            val end = min(place + half, window)
            val start = max(place - half, 0)
            val power = (energy[end] - energy[start]).toDouble() / (end - start)
            if (power <= least) {
                least = power
                best = place
            }
        }
        return best
    }

    private companion object {
        const val STEP_MS = 10
        const val PAUSE_MS = 200
    }
}

private const val QUIET_FRAME_MS = 30
private const val SILENT = 3.2e-4

/** Whether no 30 ms of these samples are above -70 decibels of full scale. */
internal fun silent(samples: ShortArray, rate: Int): Boolean {
    val frame = max(1, rate * QUIET_FRAME_MS / 1000)
    val limit = SILENT * 32768 * (SILENT * 32768)
    return samples.indices.step(frame).all { start ->
        var sum = 0.0
        for (at in start until min(start + frame, samples.size)) {
            sum += samples[at].toDouble() * samples[at]
        }
        sum / frame <= limit
    }
}
