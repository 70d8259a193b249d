package edgedistill.core

import kotlin.math.exp
import kotlin.math.ln

/** Of greedy decoding; tokens by their numbers. */
class Rules internal constructor(told: Map<String, Any?>) {
    val prompt: IntArray = told.ints("prompt")
    val end: Int = told.int("end")
    val suppressed: IntArray = told.ints("suppressed")
    val suppressedFirst: IntArray = told.ints("suppressed_first")

    /** Tokens of a transcript, the prompt with them, at most. */
    val limit: Int = told.int("limit")

    /** Null where the model has no token for it. */
    val noSpeech: Int? = (told["no_speech"] as Double?)?.toInt()
}

/** What ends a transcript that has gone wrong. */
class Guards internal constructor(told: Map<String, Any?>) {
    /** Times that tokens may follow themselves; null where that ends nothing. */
    val repeats: Int? = (told["repeats"] as Double?)?.toInt()

    /** Tokens of a repetition that is looked for. */
    val longest: Int = told.int("longest")

    /** Probability of no speech, up to which something is said at all. */
    val noSpeech: Double = told.the("no_speech")
}

/** A model that has heard a window, and says one token after the other. */
internal interface Recognizer {
    /** Begins with a window of samples in -1..1. */
    fun hear(window: FloatArray)

    /** Logits of what follows `token`, at `position` from 0; they may be written to. */
    fun step(token: Int, position: Int): FloatArray
}

/** What was made of a window. */
internal class Decoded(
    /** Without prompt and end. */
    val tokens: IntArray,
    /** Natural, of a token on average. */
    val logProbability: Double,
    val noSpeech: Double,
    /** Whether the model ended it itself. */
    val ended: Boolean,
    /** Whether it was ended as it repeated itself. */
    val looped: Boolean,
)

/** The likeliest token, one after the other. Throws EdgedistillException: the model gives what is
 * no number. */
internal fun greedy(
    recognizer: Recognizer,
    window: FloatArray,
    rules: Rules,
    guards: Guards,
): Decoded {
    recognizer.hear(window)
    var logits = FloatArray(0)
    var noSpeech = 0.0
    rules.prompt.forEachIndexed { position, token ->
        logits = recognizer.step(token, position)
        val named = rules.noSpeech
        if (position == 0 && named != null) noSpeech = exp(logProbability(logits, named))
    }
    if (noSpeech > guards.noSpeech) return Decoded(IntArray(0), 0.0, noSpeech, true, false)
    val said = ArrayList<Int>()
    var sure = 0.0
    var count = 0
    fun decoded(tokens: List<Int>, ended: Boolean, looped: Boolean): Decoded {
        val mean = sure / count
        if (!mean.isFinite()) {
            throw EdgedistillException("the recognizer gives what is no number")
        }
        return Decoded(tokens.toIntArray(), mean, noSpeech, ended, looped)
    }
    while (true) {
        for (token in rules.suppressed) logits[token] = Float.NEGATIVE_INFINITY
        if (said.isEmpty()) {
            for (token in rules.suppressedFirst) logits[token] = Float.NEGATIVE_INFINITY
        }
        val token = logits.indices.maxBy { logits[it] }
        sure += logProbability(logits, token)
        count++
        if (token == rules.end) return decoded(said, ended = true, looped = false)
        said += token
        if (guards.repeats != null) {
            val (times, length) = loop(said, guards.longest)
            if (times > guards.repeats) {
                val kept = said.subList(0, said.size - times * length)
                return decoded(kept, ended = false, looped = true)
            }
        }
        val position = rules.prompt.size + said.size
        if (position >= rules.limit) return decoded(said, ended = false, looped = false)
        logits = recognizer.step(token, position - 1)
    }
}

private fun logProbability(logits: FloatArray, token: Int): Double {
    val highest = logits.max().toDouble()
    return logits[token] - highest - ln(logits.sumOf { exp(it - highest) })
}

/** How many times the last tokens follow themselves, and how many they are: of all lengths the one
 * that repeats most. */
private fun loop(said: List<Int>, longest: Int): Pair<Int, Int> {
    var found = 0 to 0
    for (length in 1..minOf(longest, said.size)) {
        val last = said.subList(said.size - length, said.size)
        var times = 0
        var end = said.size - length
        while (end >= length && said.subList(end - length, end) == last) {
            times++
            end -= length
        }
        if (times > found.first) found = times to length
    }
    return found
}
