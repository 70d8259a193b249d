package edgedistill.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** One input or output of a file: `real = scale * (stored - zeroPoint)` where it holds integers. */
class TensorSpec internal constructor(told: Map<String, Any?>) {
    val name: String = told.the("name")

    /** Of one sample: where any batch goes, it is 1. */
    val shape: IntArray =
        told.the<List<*>>("shape").map { (it as Double?)?.toInt() ?: 1 }.toIntArray()
    val layout: String = told.the("layout")
    val dtype: String = told.the("dtype")
    val scale: Double? = told["scale"] as Double?
    val zeroPoint: Int = (told["zero_point"] as Double?)?.toInt() ?: 0

    val count: Int get() = shape.fold(1, Int::times)
    val bytes: Int get() = count * width(dtype)

    /** What a state begins with: zero, where there is a scale the zero point. */
    fun zeros(): ByteBuffer {
        val found = buffer(bytes)
        if (scale != null && zeroPoint != 0) {
            for (place in 0 until count) put(found, place, zeroPoint)
        }
        return found
    }

    /** Real values as the file takes them: halves to even, cut to what its type holds. */
    fun encode(real: FloatArray): ByteBuffer {
        require(real.size == count) { "`$name` takes $count values and not ${real.size}" }
        val found = buffer(bytes)
        if (scale == null) {
            when (dtype) {
                "float32" -> found.asFloatBuffer().put(real)
                else -> for (place in 0 until count) put(found, place, real[place].toInt())
            }
            return found
        }
        // The reciprocal in float32, as the model was judged.
        val perStep = (1.0 / scale).toFloat()
        val (low, high) = limits(dtype)
        for (place in 0 until count) {
            val step = Math.rint((real[place] * perStep).toDouble()).toInt() + zeroPoint
            put(found, place, step.coerceIn(low, high))
        }
        return found
    }

    /** The real values of what the file gave. */
    fun decode(stored: ByteBuffer): FloatArray {
        val numbers = numbers(stored, dtype)
        if (scale == null) return FloatArray(numbers.size) { numbers[it].toFloat() }
        val step = scale.toFloat()
        return FloatArray(numbers.size) { (numbers[it] - zeroPoint).toFloat() * step }
    }

    private fun put(into: ByteBuffer, place: Int, value: Int) {
        when (width(dtype)) {
            1 -> into.put(place, value.toByte())
            2 -> into.putShort(2 * place, value.toShort())
            4 -> into.putInt(4 * place, value)
            else -> into.putLong(8 * place, value.toLong())
        }
    }
}

/** Bytes of one value. */
internal fun width(dtype: String): Int = when (dtype) {
    "bool", "int8", "uint8" -> 1
    "int16", "uint16" -> 2
    "int32", "float32" -> 4
    "int64" -> 8
    else -> throw IllegalArgumentException("tensors of $dtype are not fed")
}

private fun limits(dtype: String): Pair<Int, Int> = when (dtype) {
    "int8" -> -128 to 127
    "uint8" -> 0 to 255
    "int16" -> -32768 to 32767
    "uint16" -> 0 to 65535
    else -> throw IllegalArgumentException("a scale of $dtype is not known")
}

/** The numbers in a raw array, as they are stored. */
internal fun numbers(stored: ByteBuffer, dtype: String): DoubleArray {
    val from = stored.duplicate().order(ByteOrder.LITTLE_ENDIAN).apply { rewind() }
    val read: () -> Double = when (dtype) {
        "float32" -> { -> from.getFloat().toDouble() }
        "int8" -> { -> from.get().toDouble() }
        "uint8", "bool" -> { -> (from.get().toInt() and 0xff).toDouble() }
        "int16" -> { -> from.getShort().toDouble() }
        "uint16" -> { -> (from.getShort().toInt() and 0xffff).toDouble() }
        "int32" -> { -> from.getInt().toDouble() }
        "int64" -> { -> from.getLong().toDouble() }
        else -> throw IllegalArgumentException("tensors of $dtype are not read")
    }
    return DoubleArray(from.limit() / width(dtype)) { read() }
}

/** Memory that a runtime reads without a copy; little-endian, as every Android device is. */
internal fun buffer(bytes: Int): ByteBuffer =
    ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN)

internal fun buffer(bytes: ByteArray): ByteBuffer =
    buffer(bytes.size).apply { put(bytes).rewind() }
