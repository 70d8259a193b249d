package edgedistill.core

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min

/** A picture: 0xAARRGGBB row by row, as `Bitmap.getPixels` gives it, the right way up. */
class Picture(val width: Int, val height: Int, val pixels: IntArray) {
    init {
        require(width > 0 && height > 0 && pixels.size == width * height) {
            "${pixels.size} pixels are no picture of ${width}x$height"
        }
    }
}

/** The bytes (height, width, channels) that a model sees of a picture. */
fun Preprocessing.bytes(picture: Picture): ByteArray {
    val planes = planes(picture)
    val found = planes.map { resized(it, picture.width, picture.height) }
    return ByteArray(height * width * channels) { found[it % channels][it / channels].toByte() }
}

/** Those bytes as the file takes them. */
internal fun Preprocessing.fed(bytes: ByteArray, spec: TensorSpec) = spec.encode(
    FloatArray(bytes.size) { place ->
        val at = if (spec.layout == "NCHW") {
            (place % (height * width)) * channels + place / (height * width)
        } else {
            place
        }
        (bytes[at].toInt() and 0xff) / 255f
    }
)

/** Grey, or red, green and blue, 0..255, with what is transparent over white. */
private fun Preprocessing.planes(picture: Picture): List<IntArray> {
    val pixels = picture.pixels
    fun plane(shift: Int) = IntArray(pixels.size) { place ->
        overWhite(pixels[place] ushr shift and 0xff, pixels[place] ushr 24)
    }
    val colors = listOf(plane(16), plane(8), plane(0))
    if (channels == 3) return colors
    val (red, green, blue) = colors
    // ITU-R BT.601, as Pillow's "L".
    return listOf(IntArray(pixels.size) { place ->
        (red[place] * 19595 + green[place] * 38470 + blue[place] * 7471 + 0x8000) ushr 16
    })
}

private fun overWhite(value: Int, alpha: Int): Int {
    if (alpha == 255) return value
    if (alpha == 0) return 255
    val sum = (value * alpha + 255 * (255 - alpha) shl 7) + (0x80 shl 7)
    return ((sum ushr 8) + sum ushr 8) ushr 7
}

private fun Preprocessing.resized(plane: IntArray, across: Int, down: Int): IntArray {
    if (across == width && down == height) return plane
    if (how == "fit") return inside(plane, across, down)
    val box = if (how == "crop") middle(across, down) else Box(0f, 0f, across.toFloat(), down.toFloat())
    return scaled(plane, across, down, box, width, height)
}

/** A part of a picture, not in whole pixels. */
private class Box(val left: Float, val top: Float, val right: Float, val bottom: Float)

/** The largest part in the middle that has the wanted proportions. */
private fun Preprocessing.middle(across: Int, down: Int): Box {
    val shape = width.toDouble() / height
    val wide = min(across.toDouble(), down * shape)
    val high = min(down.toDouble(), across / shape)
    val left = (across - wide) / 2
    val top = (down - high) / 2
    return Box(left.toFloat(), top.toFloat(), (left + wide).toFloat(), (top + high).toFloat())
}

/** All of it, as large as fits, in the middle of black. */
private fun Preprocessing.inside(plane: IntArray, across: Int, down: Int): IntArray {
    val scale = min(width.toDouble() / across, height.toDouble() / down)
    val wide = min(width, max(1, (across * scale + 0.5).toInt()))
    val high = min(height, max(1, (down * scale + 0.5).toInt()))
    val whole = Box(0f, 0f, across.toFloat(), down.toFloat())
    val small = scaled(plane, across, down, whole, wide, high)
    val found = IntArray(width * height)
    val left = (width - wide) / 2
    val top = (height - high) / 2
    for (row in 0 until high) {
        small.copyInto(found, (top + row) * width + left, row * wide, (row + 1) * wide)
    }
    return found
}

/** One plane, row by row. */
private class Plane(val values: IntArray, val width: Int) {
    val height: Int get() = values.size / width

    fun across(taps: List<Taps>) = Plane(
        IntArray(taps.size * height) { taps[it % taps.size].over(values, it / taps.size * width, 1) },
        taps.size,
    )

    fun down(taps: List<Taps>) = Plane(
        IntArray(width * taps.size) { taps[it / width].over(values, it % width, width) },
        width,
    )
}

/** Bilinear, averaging where it shrinks, one way after the other, each rounded to whole bytes. The
 * numbers are those of Pillow's `resize`, with which the model was trained and judged; what is much
 * too high is scaled down first, as there since its version 13. */
private fun scaled(plane: IntArray, across: Int, down: Int, box: Box, wide: Int, high: Int): IntArray {
    val needsAcross = wide != across || box.left != 0f || box.right != wide.toFloat()
    val needsDown = high != down || box.top != 0f || box.bottom != high.toFloat()
    val columns = { from: Plane ->
        if (needsAcross) from.across(taps(across, box.left, box.right, wide)) else from
    }
    val rows = { from: Plane ->
        if (needsDown) from.down(taps(down, box.top, box.bottom, high)) else from
    }
    val downFirst = down > high && down - high > 2 * (across - wide)
    val whole = Plane(plane, across)
    return (if (downFirst) columns(rows(whole)) else rows(columns(whole))).values
}

private const val BITS = 22

/** Weights, in 2^-22, of values from `first` on. */
private class Taps(val first: Int, val weights: IntArray) {
    fun over(values: IntArray, start: Int, step: Int): Int {
        var sum = 1 shl BITS - 1
        for (place in weights.indices) sum += values[start + (first + place) * step] * weights[place]
        return (sum shr BITS).coerceIn(0, 255)
    }
}

private fun taps(size: Int, from: Float, to: Float, count: Int): List<Taps> {
    val scale = (to - from).toDouble() / count
    val spread = max(scale, 1.0)
    return List(count) { place ->
        val center = from + (place + 0.5) * scale
        val first = max(0, (center - spread + 0.5).toInt())
        val last = min(size, (center + spread + 0.5).toInt())
        val shares = DoubleArray(last - first) {
            max(0.0, 1.0 - abs((it + first - center + 0.5) * (1 / spread)))
        }
        val sum = shares.sum()
        Taps(first, IntArray(shares.size) { (0.5 + shares[it] / sum * (1 shl BITS)).toInt() })
    }
}
