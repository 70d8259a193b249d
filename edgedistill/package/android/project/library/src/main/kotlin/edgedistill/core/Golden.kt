package edgedistill.core

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.abs

/** What a self-test found: the golden data was run, and came out as it should. */
class SelfTest(
    /** Values compared; of speech, the tokens that are expected. */
    val values: Int,
    /** Of these, so many within the tolerance; of speech, those that are no edits. */
    val within: Int,
    /** The largest difference, in the file's own numbers; of speech, the edits. */
    val worst: Double,
)

/** Inputs and outputs of a program, as they were when it was compiled. */
internal class GoldenRun(told: Map<String, Any?>, private val files: Files) {
    private val samples = told.int("samples")
    private val inputs = told.parts("inputs")
    private val outputs = told.parts("outputs")
    private val tolerance: Double = told.the("tolerance")
    private val share: Double = told.the("share")

    /** Feeds one sample after the other. Throws EdgedistillException: too many values are too far
     * off. */
    fun check(run: (Map<String, ByteBuffer>) -> Map<String, ByteBuffer>): SelfTest {
        val fed = inputs.map { it to files.bytes(it.the("file")) }
        val wanted = outputs.map { it to files.bytes(it.the("file")) }
        var values = 0
        var within = 0
        var worst = 0.0
        for (sample in 0 until samples) {
            val given = run(fed.associate { (array, bytes) -> array.the<String>("name") to part(bytes, sample) })
            for ((array, bytes) in wanted) {
                val dtype: String = array.the("dtype")
                val right = numbers(part(bytes, sample), dtype)
                val found = numbers(given.getValue(array.the("name")), dtype)
                if (found.size != right.size) {
                    throw EdgedistillException("${found.size} values where ${right.size} are right")
                }
                for (place in right.indices) {
                    val off = abs(found[place] - right[place])
                    values++
                    if (off <= tolerance) within++
                    if (off.isNaN() || off > worst) worst = off
                }
            }
        }
        if (within < share * values) {
            throw EdgedistillException(
                "golden data: $within of $values values are within $tolerance, and a share of " +
                    "$share must be; the worst is off by $worst"
            )
        }
        return SelfTest(values, within, worst)
    }

    private fun part(bytes: ByteArray, sample: Int): ByteBuffer {
        val size = bytes.size / samples
        return buffer(bytes.copyOfRange(sample * size, (sample + 1) * size))
    }
}

/** Utterances of whose tokens no more than a share may be edits. */
internal fun checkSpeech(app: App, files: Files, transcribe: (ShortArray) -> List<Segment>): SelfTest {
    val share: Double = app.golden.the("edits")
    var values = 0
    var wrong = 0
    for (utterance in app.golden.parts("utterances")) {
        val right = utterance.ints("tokens").asList()
        val sound = wav(files.bytes(utterance.the("file")))
        wrong += edits(transcribe(sound).flatMap { it.tokens.asList() }, right)
        values += right.size
    }
    if (wrong > share * values) {
        throw EdgedistillException(
            "golden data: $wrong edits of $values tokens; a share of $share may be"
        )
    }
    return SelfTest(values, maxOf(0, values - wrong), wrong.toDouble())
}

/** How many tokens are put in, left out or changed (Levenshtein). */
internal fun edits(found: List<Int>, wanted: List<Int>): Int {
    var row = IntArray(wanted.size + 1) { it }
    for ((at, token) in found.withIndex()) {
        val next = IntArray(row.size)
        next[0] = at + 1
        for (to in wanted.indices) {
            val changed = row[to] + if (token == wanted[to]) 0 else 1
            next[to + 1] = minOf(changed, row[to + 1] + 1, next[to] + 1)
        }
        row = next
    }
    return row.last()
}

/** The samples of a WAV file of one channel and 16 bits. */
internal fun wav(bytes: ByteArray): ShortArray {
    val from = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
    var at = 12
    while (at + 8 <= bytes.size) {
        val size = from.getInt(at + 4)
        if (String(bytes, at, 4, Charsets.US_ASCII) == "data") {
            return ShortArray(minOf(size, bytes.size - at - 8) / 2) { from.getShort(at + 8 + 2 * it) }
        }
        at += 8 + size + (size and 1)
    }
    throw EdgedistillException("a WAV file without samples")
}
