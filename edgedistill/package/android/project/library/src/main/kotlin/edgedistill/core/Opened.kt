package edgedistill.core

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/** What the app is told of an opened model. */
interface Opened : AutoCloseable {
    val app: App

    /** The accelerator that was asked for. */
    val asked: Accelerator

    /** The one that the runtime took the model for. */
    val used: Accelerator

    /** Why that is another one; null where it is not. */
    val refusal: String?

    /** Runs the golden data that came with the model. Throws EdgedistillException: it does not come
     * out as it should. */
    suspend fun selfTest(): SelfTest

    /** Waits for an inference that runs, and frees the model. */
    override fun close()
}

/** Runs one piece of work at a time, off the main thread, until it is closed. */
internal class Working(private val closing: () -> Unit) : AutoCloseable {
    private var open = true

    suspend fun <T> off(work: () -> T): T = withContext(Dispatchers.Default) {
        synchronized(this@Working) {
            check(open) { "the model was closed" }
            work()
        }
    }

    override fun close() = synchronized(this) {
        if (open) {
            open = false
            closing()
        }
    }
}

/** The programs of a model, opened together; one that fails closes those before it. */
internal class Bundle(
    val app: App,
    val files: Files,
    programs: Programs,
    names: List<String>,
    accelerator: Accelerator,
    threads: Int,
) : AutoCloseable {
    private val opened = LinkedHashMap<String, Program>()

    init {
        try {
            for (name in names) {
                val file = app.file(name)
                opened[name] = programs.open(file, app.signatureOf(file), accelerator, threads)
            }
        } catch (error: Throwable) {
            close()
            throw error
        }
    }

    /** The program that decides about the accelerator: the first. */
    val first: Program get() = opened.values.first()

    operator fun get(name: String): Program = opened.getValue(name)

    override fun close() = opened.values.forEach { it.close() }
}
