package edgedistill.core

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/** Listens for keywords in a stream of sound. */
class Listener private constructor(private val bundle: Bundle) : Opened {
    override val app: App get() = bundle.app
    override val asked: Accelerator get() = bundle.first.asked
    override val used: Accelerator get() = bundle.first.used
    override val refusal: String? get() = bundle.first.refusal

    private val name = app.listening!!.program
    private val file = app.file(name)
    private val working = Working(bundle::close)
    private var ear: Ear? = null

    /** Hears the next samples of the stream, any number of them: one channel, 16 bits, at
     * `app.listening.rate`. */
    suspend fun listen(samples: ShortArray): List<Detection> = working.off {
        val heard = ear ?: Ear(app, stepping(Stream(bundle[name], file), file)).also { ear = it }
        heard.feed(samples)
    }

    /** The next samples begin a new stream. */
    suspend fun reset() = working.off { ear = null }

    /** Of the listening program, step by step; the stream that is listened to goes on after it. */
    override suspend fun selfTest(): SelfTest = working.off {
        val steps = requireNotNull(app.golden.part("steps")) { "no golden data of `$name`" }
        GoldenRun(steps, bundle.files).check(Stream(bundle[name], file)::step)
    }

    override fun close() = working.close()

    companion object {
        /** Opens it off the main thread. Throws EdgedistillException; IllegalArgumentException: the
         * model does not listen. */
        suspend fun open(
            files: Files,
            programs: Programs,
            accelerator: Accelerator = Accelerator.CPU,
            threads: Int = 1,
        ): Listener = withContext(Dispatchers.Default) {
            val app = App.read(files)
            val listening = requireNotNull(app.listening) { "${app.name} does not listen" }
            val names = listOf(listening.program)
            Listener(Bundle(app, files, programs, names, accelerator, threads))
        }
    }
}
