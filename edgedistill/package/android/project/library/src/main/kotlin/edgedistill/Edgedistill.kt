package edgedistill

import android.content.Context
import android.content.res.AssetManager
import android.graphics.Bitmap
import edgedistill.core.Accelerator
import edgedistill.core.App
import edgedistill.core.Classifier
import edgedistill.core.EdgedistillException
import edgedistill.core.Files
import edgedistill.core.Listener
import edgedistill.core.Picture
import edgedistill.core.Programs
import edgedistill.core.Transcriber
import java.io.FileInputStream
import java.io.FileNotFoundException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/** Opens the models that an app carries under `assets/edgedistill/NAME`. Where there is but one, it
 * need not be named. All of it works off the main thread. */
object Edgedistill {
    /** A model of pictures, or of short sounds. Throws EdgedistillException. */
    suspend fun classifier(
        context: Context,
        name: String? = null,
        accelerator: Accelerator = Accelerator.CPU,
        threads: Int = 1,
    ): Classifier = opened(context, name) { files, programs ->
        Classifier.open(files, programs, accelerator, threads)
    }

    /** A model that listens for keywords. Throws EdgedistillException. */
    suspend fun listener(
        context: Context,
        name: String? = null,
        accelerator: Accelerator = Accelerator.CPU,
        threads: Int = 1,
    ): Listener = opened(context, name) { files, programs ->
        Listener.open(files, programs, accelerator, threads)
    }

    /** A model that writes down what is said. Throws EdgedistillException. */
    suspend fun transcriber(
        context: Context,
        name: String? = null,
        accelerator: Accelerator = Accelerator.CPU,
        threads: Int = 1,
    ): Transcriber = opened(context, name) { files, programs ->
        Transcriber.open(files, programs, accelerator, threads)
    }

    /** What a model says of itself. */
    suspend fun app(context: Context, name: String? = null): App =
        withContext(Dispatchers.IO) { App.read(carried(context, name)) }

    /** A model's files, to measure it with `edgedistill.core.Measuring`. */
    suspend fun files(context: Context, name: String? = null): Files = carried(context, name)

    /** The runtime, with the models of `files`. */
    fun runtime(files: Files): Programs = programs(files as Assets)

    // A runtime's libraries are loaded when it is first asked for, which takes a while.
    private suspend fun <T> opened(
        context: Context,
        name: String?,
        open: suspend (Files, Programs) -> T,
    ): T = withContext(Dispatchers.Default) {
        val files = carried(context, name)
        open(files, programs(files))
    }

    private suspend fun carried(context: Context, name: String?): Assets =
        withContext(Dispatchers.IO) {
            val assets = context.applicationContext.assets
            val there = assets.list(ROOT).orEmpty()
            val chosen = name ?: there.singleOrNull()
            if (chosen == null || chosen !in there) {
                throw EdgedistillException(
                    "assets/$ROOT holds ${there.joinToString().ifEmpty { "no model" }}" +
                        if (chosen == null) ": name one" else ", and no `$chosen`"
                )
            }
            Assets(assets, "$ROOT/$chosen")
        }

    private const val ROOT = "edgedistill"
}

/** A bitmap, the right way up, as a model takes it. Not for one of `Bitmap.Config.HARDWARE`: copy
 * that first. */
fun Bitmap.asPicture(): Picture {
    val pixels = IntArray(width * height)
    getPixels(pixels, 0, width, 0, 0, width, height)
    return Picture(width, height, pixels)
}

/** A model's folder among the assets. */
internal class Assets(val manager: AssetManager, private val folder: String) : Files {
    fun path(name: String) = "$folder/$name"

    override fun bytes(name: String): ByteArray = manager.open(path(name)).use { it.readBytes() }

    override fun mapped(name: String): ByteBuffer = described(name) { descriptor ->
        FileInputStream(descriptor.fileDescriptor).use {
            it.channel.map(
                FileChannel.MapMode.READ_ONLY,
                descriptor.startOffset,
                descriptor.declaredLength,
            )
        }
    }

    /** Throws EdgedistillException: the app's build has compressed the model. */
    fun checkStored(name: String) = described(name) {}

    private fun <T> described(
        name: String,
        use: (android.content.res.AssetFileDescriptor) -> T,
    ): T {
        val descriptor = try {
            manager.openFd(path(name))
        } catch (error: FileNotFoundException) {
            throw EdgedistillException(
                "${path(name)} is missing or compressed, and cannot be mapped into memory: " +
                    "set `androidResources { noCompress += listOf(\"tflite\", \"onnx\") }`",
                error,
            )
        }
        return descriptor.use(use)
    }
}
