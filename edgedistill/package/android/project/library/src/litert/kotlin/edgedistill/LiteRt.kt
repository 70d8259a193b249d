package edgedistill

import com.google.ai.edge.litert.CompiledModel
import com.google.ai.edge.litert.LiteRtException
import com.google.ai.edge.litert.TensorBuffer
import edgedistill.core.Accelerator
import edgedistill.core.EdgedistillException
import edgedistill.core.ModelFile
import edgedistill.core.Program
import edgedistill.core.Programs
import edgedistill.core.TensorSpec
import java.nio.ByteBuffer
import java.nio.ByteOrder
import com.google.ai.edge.litert.Accelerator as LiteRtAccelerator

/** LiteRT, by its compiled models. The accelerator that is asked for is asked for alone, so that a
 * model that it cannot take is refused and said, and not run elsewhere unseen. */
internal class LiteRt(private val assets: Assets) : Programs {
    override val runtime = "litert"

    /** The Kotlin API does not tell. */
    override val version: String? = null

    override fun open(
        file: ModelFile,
        signature: String?,
        accelerator: Accelerator,
        threads: Int,
    ): Program {
        // LiteRT maps an asset itself, where it is stored.
        assets.checkStored(file.file)
        val refusal = try {
            val model = compiled(file, accelerator, threads)
            return LiteRtProgram(model, file, signature, accelerator, accelerator, null)
        } catch (error: LiteRtException) {
            if (accelerator == Accelerator.CPU) {
                throw EdgedistillException("${file.file}: ${error.message}", error)
            }
            error.message ?: "LiteRT does not tell why"
        }
        val model = compiled(file, Accelerator.CPU, threads)
        return LiteRtProgram(model, file, signature, accelerator, Accelerator.CPU, refusal)
    }

    private fun compiled(file: ModelFile, accelerator: Accelerator, threads: Int): CompiledModel {
        val options = when (accelerator) {
            Accelerator.CPU -> CompiledModel.Options(LiteRtAccelerator.CPU).apply {
                cpuOptions = CompiledModel.CpuOptions(numThreads = threads)
            }
            Accelerator.GPU -> CompiledModel.Options(LiteRtAccelerator.GPU)
            Accelerator.NPU -> CompiledModel.Options(LiteRtAccelerator.NPU)
        }
        return CompiledModel.create(assets.manager, assets.path(file.file), options)
    }
}

private class LiteRtProgram(
    private val model: CompiledModel,
    private val file: ModelFile,
    private val signature: String?,
    override val asked: Accelerator,
    override val used: Accelerator,
    override val refusal: String?,
) : Program {
    private val inputs: Map<String, TensorBuffer> =
        file.inputs.associate { it.name to model.createInputBuffer(it.name, signature) }
    private val outputs: Map<String, TensorBuffer> =
        file.outputs.associate { it.name to model.createOutputBuffer(it.name, signature) }

    // What lies in the inputs, so that a recognizer's sound is written once and not at each token.
    private val written = HashMap<String, ByteBuffer>()

    override fun run(inputs: Map<String, ByteBuffer>): Map<String, ByteBuffer> {
        for (spec in file.inputs) {
            val values = inputs.getValue(spec.name)
            if (written.put(spec.name, values) !== values) {
                write(values, spec, this.inputs.getValue(spec.name))
            }
        }
        model.run(this.inputs, outputs, signature)
        return file.outputs.associate { it.name to read(it, outputs.getValue(it.name)) }
    }

    override fun close() {
        (inputs.values + outputs.values).forEach { it.close() }
        model.close()
    }

    private fun write(values: ByteBuffer, spec: TensorSpec, into: TensorBuffer) {
        val from = values.duplicate().order(ByteOrder.LITTLE_ENDIAN)
        from.rewind()
        when (spec.dtype) {
            "float32" -> into.writeFloat(FloatArray(spec.count).also { from.asFloatBuffer().get(it) })
            "int8", "uint8" -> into.writeInt8(ByteArray(spec.count).also { from.get(it) })
            "int32" -> into.writeInt(IntArray(spec.count).also { from.asIntBuffer().get(it) })
            "int64" -> into.writeLong(LongArray(spec.count).also { from.asLongBuffer().get(it) })
            else -> throw EdgedistillException("tensors of ${spec.dtype} are not fed to LiteRT")
        }
    }

    private fun read(spec: TensorSpec, from: TensorBuffer): ByteBuffer {
        val found = ByteBuffer.allocateDirect(spec.bytes).order(ByteOrder.LITTLE_ENDIAN)
        when (spec.dtype) {
            "float32" -> found.asFloatBuffer().put(from.readFloat())
            "int8", "uint8" -> found.duplicate().put(from.readInt8())
            "int32" -> found.asIntBuffer().put(from.readInt())
            "int64" -> found.asLongBuffer().put(from.readLong())
            else -> throw EdgedistillException("tensors of ${spec.dtype} are not read from LiteRT")
        }
        return found
    }
}
