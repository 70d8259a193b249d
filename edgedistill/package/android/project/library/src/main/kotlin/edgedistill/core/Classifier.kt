package edgedistill.core

import java.nio.ByteBuffer
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/** A model of pictures, or of short sounds. */
class Classifier private constructor(private val bundle: Bundle) : Opened {
    override val app: App get() = bundle.app
    override val asked: Accelerator get() = bundle.first.asked
    override val used: Accelerator get() = bundle.first.used
    override val refusal: String? get() = bundle.first.refusal

    private val file = app.file(MAIN)
    private val answering = Answering(app, bundle.files)
    private val counters = Counters(app)
    private val working = Working(bundle::close)

    /** Of a picture of any size. */
    suspend fun classify(picture: Picture): Answer {
        val pictures = requireNotNull(app.preprocessing) { "${app.name} takes no pictures" }
        return working.off { answer(pictures.fed(pictures.bytes(picture), file.inputs.single())) }
    }

    /** Of a sound: one channel, 16 bits, at `app.sound.rate`. */
    suspend fun classify(recording: ShortArray): Answer {
        val sound = requireNotNull(app.sound) { "${app.name} takes no sound" }
        return working.off { answer(file.inputs.single().encode(sound.window(recording))) }
    }

    override suspend fun selfTest(): SelfTest =
        working.off { GoldenRun(app.golden, bundle.files).check(bundle[MAIN]::run) }

    /** What was answered since it was opened, as JSON that `edgedistill drift` reads: counts, and
     * nothing of any picture or sound. */
    fun counters(): String = counters.json()

    override fun close() = working.close()

    private fun answer(fed: ByteBuffer): Answer {
        val given = bundle[MAIN].run(mapOf(file.inputs.single().name to fed))
        val logits = answering.logits(file.answer.decode(given.getValue(file.answer.name)))
        return answering.answer(logits).also { counters.add(logits, it) }
    }

    companion object {
        internal const val MAIN = "main"

        /** Opens it off the main thread. Throws EdgedistillException. */
        suspend fun open(
            files: Files,
            programs: Programs,
            accelerator: Accelerator = Accelerator.CPU,
            threads: Int = 1,
        ): Classifier = withContext(Dispatchers.Default) {
            val app = App.read(files)
            Classifier(Bundle(app, files, programs, listOf(MAIN), accelerator, threads))
        }
    }
}
