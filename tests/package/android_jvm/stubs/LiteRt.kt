@file:Suppress("UNUSED_PARAMETER", "unused")

/* What the library calls of LiteRT 2, by the signatures that its Kotlin sources have
 * (litert/kotlin/src/main/kotlin/com/google/ai/edge/litert in its repository), without what they do:
 * LiteRT's own archive is where Gradle fetches from, and not where this is compiled. */
package com.google.ai.edge.litert

import android.content.res.AssetManager

class LiteRtException internal constructor(message: String) : Exception(message)

enum class Accelerator { NONE, CPU, GPU, NPU }

abstract class JniHandle internal constructor() : AutoCloseable {
    final override fun close() {}
}

class Environment private constructor() : JniHandle()

class TensorBuffer internal constructor() : JniHandle() {
    fun writeInt(data: IntArray) {}
    fun writeFloat(data: FloatArray) {}
    fun writeInt8(data: ByteArray) {}
    fun writeLong(data: LongArray) {}
    fun readInt(): IntArray = TODO()
    fun readFloat(): FloatArray = TODO()
    fun readInt8(): ByteArray = TODO()
    fun readLong(): LongArray = TODO()
}

class CompiledModel private constructor() : JniHandle() {
    data class CpuOptions(
        val numThreads: Int? = null,
        val xnnPackFlags: Int? = null,
        val xnnPackWeightCachePath: String? = null,
    )

    class Options(internal vararg val accelerators: Accelerator) {
        var cpuOptions: CpuOptions? = null
    }

    fun createInputBuffer(inputName: String, signature: String? = null): TensorBuffer = TODO()

    fun createOutputBuffer(outputName: String, signature: String? = null): TensorBuffer = TODO()

    fun run(
        inputs: Map<String, TensorBuffer>,
        outputs: Map<String, TensorBuffer>,
        signature: String? = null,
    ) {}

    companion object {
        @JvmStatic
        fun create(
            assetManager: AssetManager,
            assetName: String,
            options: Options = Options(Accelerator.CPU),
            optionalEnv: Environment? = null,
        ): CompiledModel = TODO()
    }
}
