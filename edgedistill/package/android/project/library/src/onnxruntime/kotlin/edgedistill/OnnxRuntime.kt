package edgedistill

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtSession
import ai.onnxruntime.providers.NNAPIFlags
import edgedistill.core.Accelerator
import edgedistill.core.EdgedistillException
import edgedistill.core.Files
import edgedistill.core.ModelFile
import edgedistill.core.Program
import edgedistill.core.Programs
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.EnumSet

/** ONNX Runtime. The CPU runs everything; `NPU` asks for NNAPI, which Android 15 and later call
 * deprecated; its Android package has nothing for `GPU`. */
internal class OnnxRuntime(private val files: Files) : Programs {
    private val environment: OrtEnvironment =
        OrtEnvironment.getEnvironment().apply { setTelemetry(false) }

    override val runtime = "onnxruntime"
    override val version: String? = environment.version

    override fun open(
        file: ModelFile,
        signature: String?,
        accelerator: Accelerator,
        threads: Int,
    ): Program {
        // A mapped file is read as the session is made.
        val model = files.mapped(file.file)
        val refusal = try {
            val session = session(model, accelerator, threads)
            return OnnxProgram(environment, session, file, accelerator, accelerator, null)
        } catch (error: OrtException) {
            if (accelerator == Accelerator.CPU) {
                throw EdgedistillException("${file.file}: ${error.message}", error)
            }
            error.message
        }
        val session = session(model, Accelerator.CPU, threads)
        return OnnxProgram(environment, session, file, accelerator, Accelerator.CPU, refusal)
    }

    private fun session(model: ByteBuffer, accelerator: Accelerator, threads: Int): OrtSession =
        OrtSession.SessionOptions().use { options ->
            options.setIntraOpNumThreads(threads)
            options.setInterOpNumThreads(1)
            when (accelerator) {
                Accelerator.CPU -> {}
                Accelerator.NPU -> options.addNnapi(EnumSet.of(NNAPIFlags.CPU_DISABLED))
                Accelerator.GPU ->
                    throw OrtException("ONNX Runtime's Android package has no GPU provider")
            }
            environment.createSession(model, options)
        }
}

private class OnnxProgram(
    private val environment: OrtEnvironment,
    private val session: OrtSession,
    private val file: ModelFile,
    override val asked: Accelerator,
    override val used: Accelerator,
    override val refusal: String?,
) : Program {
    private val names: Set<String> = file.outputs.mapTo(LinkedHashSet()) { it.name }

    override fun run(inputs: Map<String, ByteBuffer>): Map<String, ByteBuffer> {
        val tensors = LinkedHashMap<String, OnnxTensor>()
        try {
            for (spec in file.inputs) {
                val shape = LongArray(spec.shape.size) { spec.shape[it].toLong() }
                // Direct memory, which is read where it lies.
                val values = inputs.getValue(spec.name).duplicate().order(ByteOrder.nativeOrder())
                values.rewind()
                tensors[spec.name] =
                    OnnxTensor.createTensor(environment, values, shape, kind(spec.dtype))
            }
            session.run(tensors, names).use { result ->
                return names.withIndex().associate { (place, name) ->
                    name to direct((result.get(place) as OnnxTensor).byteBuffer)
                }
            }
        } finally {
            tensors.values.forEach { it.close() }
        }
    }

    override fun close() = session.close()

    private fun direct(copy: ByteBuffer): ByteBuffer {
        copy.rewind()
        val found = ByteBuffer.allocateDirect(copy.limit()).order(ByteOrder.nativeOrder())
        found.put(copy)
        found.rewind()
        return found
    }

    private fun kind(dtype: String): OnnxJavaType = when (dtype) {
        "float32" -> OnnxJavaType.FLOAT
        "int8" -> OnnxJavaType.INT8
        "uint8" -> OnnxJavaType.UINT8
        "int32" -> OnnxJavaType.INT32
        "int64" -> OnnxJavaType.INT64
        "bool" -> OnnxJavaType.BOOL
        else -> throw EdgedistillException("tensors of $dtype are not fed to ONNX Runtime")
    }
}
