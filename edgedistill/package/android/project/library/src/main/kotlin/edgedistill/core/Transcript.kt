package edgedistill.core

import java.io.ByteArrayOutputStream
import java.nio.ByteBuffer
import kotlin.io.encoding.Base64
import kotlin.io.encoding.ExperimentalEncodingApi

/** What is said in a piece of sound that was decoded at once. */
class Segment(
    /** Seconds from the beginning of the sound. */
    val start: Double,
    val end: Double,
    /** Empty where nothing is said. */
    val text: String,
    val tokens: IntArray,
    /** Natural, of a token on average. */
    val logProbability: Double,
    /** Probability of no speech at all. */
    val noSpeech: Double,
    /** Whether all of it was transcribed, and neither its tokens nor the guards cut it off. */
    val ended: Boolean,
    val looped: Boolean,
)

/** What is said in a sound. */
class Transcript(val text: String, val segments: List<Segment>)

/** Tokens, and the bytes of text that they are. */
@OptIn(ExperimentalEncodingApi::class)
internal class Vocabulary(told: Map<String, Any?>) {
    private val pieces: List<ByteArray> = told.texts("pieces").map(Base64::decode)

    /** What tokens say; a character that is not whole is replaced. */
    fun text(tokens: IntArray): String {
        val bytes = ByteArrayOutputStream()
        for (token in tokens) bytes.write(pieces[token], 0, pieces[token].size)
        return bytes.toByteArray().toString(Charsets.UTF_8).trim()
    }
}

/** Sound to segments, piece by piece. */
internal class Transcribing(app: App, files: Files, private val recognizer: Recognizer) {
    val told = requireNotNull(app.transcription) { "${app.name} does not transcribe" }
    private val vocabulary =
        Vocabulary(Json.read(files.bytes(told.vocabulary).toString(Charsets.UTF_8)))

    /** A piece of at most a window, from sample `start` on; null where it is silent. */
    fun segment(piece: ShortArray, start: Long): Segment? {
        if (silent(piece, told.rate)) return null
        val window = FloatArray(told.window) { if (it < piece.size) real(piece[it]) else 0f }
        val found = greedy(recognizer, window, told.rules, told.guards)
        return Segment(
            start = start.toDouble() / told.rate,
            end = (start + piece.size).toDouble() / told.rate,
            text = vocabulary.text(found.tokens),
            tokens = found.tokens,
            logProbability = found.logProbability,
            noSpeech = found.noSpeech,
            ended = found.ended,
            looped = found.looped,
        )
    }

    /** Texts one behind the other. */
    fun joined(segments: List<Segment>): String =
        segments.map { it.text }.filter { it.isNotEmpty() }
            .joinToString(if (told.spaced) " " else "")
}

/** A recognizer's two programs: what `encode` gives is what each step reads. */
internal class TwoPrograms(
    private val encodes: ModelFile,
    private val encode: Program,
    private val steps: ModelFile,
    step: Program,
) : Recognizer {
    private val stream = Stream(step, steps)
    private var heard: Map<String, ByteBuffer> = emptyMap()
    private val token = steps.inputs.first { it.name == "token" }
    private val position = steps.inputs.first { it.name == "position" }

    override fun hear(window: FloatArray) {
        val input = encodes.inputs.single()
        heard = encode.run(mapOf(input.name to input.encode(window)))
        stream.reset()
    }

    override fun step(token: Int, position: Int): FloatArray {
        val numbers = mapOf(
            this.token.name to this.token.encode(floatArrayOf(token.toFloat())),
            this.position.name to this.position.encode(floatArrayOf(position.toFloat())),
        )
        return steps.answer.decode(stream.step(heard + numbers).getValue(steps.answer.name))
    }
}
