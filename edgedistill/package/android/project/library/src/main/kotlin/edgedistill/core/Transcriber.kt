package edgedistill.core

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/** Writes down what is said. */
class Transcriber private constructor(private val bundle: Bundle) : Opened {
    override val app: App get() = bundle.app
    override val asked: Accelerator get() = bundle.first.asked
    override val used: Accelerator get() = bundle.first.used
    override val refusal: String? get() = bundle.first.refusal

    private val recognizer =
        TwoPrograms(app.file(ENCODE), bundle[ENCODE], app.file(STEP), bundle[STEP])
    private val transcribing = Transcribing(app, bundle.files, recognizer)
    private val working = Working(bundle::close)

    /** Of sound of any length: one channel, 16 bits, at `app.transcription.rate`. It is cut where
     * it is quietest; `heard` is told of each piece as it is done, on another thread, and between
     * two the coroutine may be cancelled. */
    suspend fun transcribe(samples: ShortArray, heard: (Segment) -> Unit = {}): Transcript {
        val found = ArrayList<Segment>()
        var start = 0L
        for (piece in pieces(samples)) {
            val begin = start
            val segment = working.off { transcribing.segment(piece, begin) }
            start += piece.size
            if (segment != null) found += segment.also(heard)
        }
        return Transcript(transcribing.joined(found), found)
    }

    override suspend fun selfTest(): SelfTest = working.off {
        checkSpeech(app, bundle.files) { samples ->
            var start = 0L
            pieces(samples).mapNotNull { piece ->
                transcribing.segment(piece, start).also { start += piece.size }
            }
        }
    }

    override fun close() = working.close()

    private fun pieces(samples: ShortArray): List<ShortArray> {
        val parting = Parting(transcribing.told.window, transcribing.told.rate)
        return parting.feed(samples) + parting.rest()
    }

    companion object {
        private const val ENCODE = "encode"
        private const val STEP = "decode_step"

        /** Opens it off the main thread. Throws EdgedistillException. */
        suspend fun open(
            files: Files,
            programs: Programs,
            accelerator: Accelerator = Accelerator.CPU,
            threads: Int = 1,
        ): Transcriber = withContext(Dispatchers.Default) {
            val names = listOf(ENCODE, STEP)
            Transcriber(Bundle(App.read(files), files, programs, names, accelerator, threads))
        }
    }
}
