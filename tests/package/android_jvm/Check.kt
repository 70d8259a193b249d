package edgedistill.check

import edgedistill.OnnxRuntime
import edgedistill.core.Accelerator
import edgedistill.core.App
import edgedistill.core.Classifier
import edgedistill.core.EdgedistillException
import edgedistill.core.Files
import edgedistill.core.Json
import edgedistill.core.Listener
import edgedistill.core.Measuring
import edgedistill.core.Opened
import edgedistill.core.Parting
import edgedistill.core.Picture
import edgedistill.core.Preprocessing
import edgedistill.core.Protocol
import edgedistill.core.Sound
import edgedistill.core.Transcriber
import edgedistill.core.bytes
import edgedistill.core.int
import edgedistill.core.parts
import edgedistill.core.the
import edgedistill.core.window
import java.io.File
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel
import kotlinx.coroutines.runBlocking

/** A package's assets as a folder. */
private class Folder(private val place: File) : Files {
    override fun bytes(name: String): ByteArray = File(place, name).readBytes()

    override fun mapped(name: String): ByteBuffer = RandomAccessFile(File(place, name), "r").use {
        it.channel.map(FileChannel.MapMode.READ_ONLY, 0, it.length())
    }
}

/** Does what the JSON file says that is its first argument, and prints what came out as JSON. */
fun main(arguments: Array<String>) {
    val told = Json.read(File(arguments[0]).readText())
    val found = told.keys.associateWith { what ->
        when (what) {
            "pictures" -> told.parts(what).map(::picture)
            "windows" -> told.parts(what).map(::window)
            "partings" -> told.parts(what).map(::parting)
            "models" -> told.parts(what).map { runBlocking { model(it) } }
            else -> error(what)
        }
    }
    println(Json.write(found))
}

private fun picture(told: Map<String, Any?>): List<Int> {
    val pixels = ints(told.the("file"))
    val picture = Picture(told.int("width"), told.int("height"), pixels)
    return Preprocessing(told.the("preprocessing")).bytes(picture).map { it.toInt() and 0xff }
}

private fun window(told: Map<String, Any?>): List<Double> =
    Sound(told.the("sound")).window(shorts(told.the("file"))).map { it.toDouble() }

private fun parting(told: Map<String, Any?>): List<Int> {
    val parting = Parting(told.int("window"), told.int("rate"))
    val samples = shorts(told.the("file"))
    val middle = samples.size / 3
    val pieces = parting.feed(samples.copyOf(middle)) +
        parting.feed(samples.copyOfRange(middle, samples.size)) + parting.rest()
    return pieces.map { it.size }
}

/** Self-tests, answers, and a refused accelerator. */
private suspend fun model(told: Map<String, Any?>): Map<String, Any?> {
    val files = Folder(File(told.the<String>("folder")))
    val runtime = OnnxRuntime(files)
    val found = LinkedHashMap<String, Any?>()
    val app = App.read(files)
    if (app.kind == "speech") {
        Transcriber.open(files, runtime).use { model ->
            found["speech"] = tested(model)
            found["texts"] = told.parts("sounds").map { sound ->
                val heard = model.transcribe(shorts(sound.the("file")))
                mapOf("text" to heard.text, "tokens" to heard.segments.map { it.tokens })
            }
        }
        return found
    }
    Classifier.open(files, runtime).use { model ->
        found["main"] = tested(model)
        found["answers"] = answers(model, told)
        found["counters"] = Json.read(model.counters())
    }
    if (app.listening != null) {
        Listener.open(files, runtime).use { model ->
            found["step"] = tested(model)
            found["heard"] = told.parts("streams").map { stream ->
                model.reset()
                shorts(stream.the("file")).toList().chunked(1000)
                    .flatMap { model.listen(it.toShortArray()) }
                    .map { mapOf("keyword" to it.keyword, "seconds" to it.seconds, "confidence" to it.confidence) }
            }
        }
    }
    for (accelerator in listOf(Accelerator.GPU, Accelerator.NPU)) {
        Classifier.open(files, runtime, accelerator).use { model ->
            found[accelerator.name] = mapOf(
                "asked" to model.asked, "used" to model.used, "refusal" to model.refusal,
                "test" to tested(model),
            )
        }
    }
    val protocol = Protocol(warmup = 3, runs = 20, seconds = 1.0)
    found["record"] = Json.read(
        Measuring(files, Accelerator.CPU, protocol, "x86_64") { OnnxRuntime(files) }.record()
    )
    return found
}

private suspend fun tested(model: Opened): Map<String, Any?> {
    val found = try {
        model.selfTest()
    } catch (error: EdgedistillException) {
        return mapOf("failed" to error.message)
    }
    return mapOf("values" to found.values, "within" to found.within, "worst" to found.worst)
}

private suspend fun answers(model: Classifier, told: Map<String, Any?>): List<Any?> {
    val found = told.parts("samples").map { sample ->
        val name: String = sample.the("file")
        if (model.app.kind == "sound") {
            model.classify(shorts(name))
        } else {
            model.classify(Picture(sample.int("width"), sample.int("height"), ints(name)))
        }
    }
    return found.map {
        mapOf(
            "label" to it.label, "confidence" to it.confidence, "route" to it.route,
            "probabilities" to it.probabilities,
        )
    }
}

private fun little(file: String) =
    ByteBuffer.wrap(File(file).readBytes()).order(ByteOrder.LITTLE_ENDIAN)

private fun ints(file: String): IntArray =
    little(file).asIntBuffer().let { from -> IntArray(from.remaining()).also { from.get(it) } }

private fun shorts(file: String): ShortArray =
    little(file).asShortBuffer().let { from -> ShortArray(from.remaining()).also { from.get(it) } }
