package edgedistill.core

import java.nio.ByteBuffer

/** What runs a model. */
enum class Accelerator { CPU, GPU, NPU }

/** One program of a model file, opened. Not for several threads at once. */
interface Program : AutoCloseable {
    /** What was asked for. */
    val asked: Accelerator

    /** What the runtime took the model for: another one than `asked` where it refused that. */
    val used: Accelerator

    /** Why `used` is another than `asked`; null where it is the same. */
    val refusal: String?

    /** One inference: the file's own numbers by the names of its inputs, to those of its outputs.
     * What it gives may be the same memory again at the next call, and memory that is fed again is
     * taken to be unchanged. */
    fun run(inputs: Map<String, ByteBuffer>): Map<String, ByteBuffer>
}

/** A runtime with its models at hand. */
interface Programs {
    /** `litert` or `onnxruntime`. */
    val runtime: String

    /** Null where the runtime does not tell. */
    val version: String?

    /** Opens a program; `signature` is its name in a file of several. Where the accelerator is
     * refused, the CPU is taken, and `Program.used` says so. */
    fun open(
        file: ModelFile,
        signature: String?,
        accelerator: Accelerator,
        threads: Int,
    ): Program
}

/** Something is wrong with the package or the runtime, in words. */
class EdgedistillException(message: String, cause: Throwable? = null) : Exception(message, cause)

/** A program that keeps a state from one call to the next. */
internal class Stream(private val program: Program, private val file: ModelFile) {
    private var state = begin()

    /** Back to the beginning. */
    fun reset() {
        state = begin()
    }

    /** One step: what is no state, to the outputs that are none. */
    fun step(fresh: Map<String, ByteBuffer>): Map<String, ByteBuffer> {
        val given = program.run(fresh + state)
        state = file.state.entries.associate { (output, input) ->
            input to copied(given.getValue(output))
        }
        return given - file.state.keys
    }

    private fun begin(): Map<String, ByteBuffer> {
        val fedBack = file.state.values.toSet()
        return file.inputs.filter { it.name in fedBack }.associate { it.name to it.zeros() }
    }

    // A runtime may give the same memory again.
    private fun copied(from: ByteBuffer): ByteBuffer =
        buffer(from.limit()).apply { put(from.duplicate().apply { rewind() }).rewind() }
}
