package edgedistill.core

import java.nio.ByteBuffer

/** Where `app.json` and what lies beside it is read from. */
interface Files {
    /** A whole file. Throws IOException: there is none. */
    fun bytes(name: String): ByteArray

    /** A whole file, mapped into memory and not copied. Throws IOException. */
    fun mapped(name: String): ByteBuffer
}

/** A model's own description, `app.json`, format 1. */
class App private constructor(told: Map<String, Any?>) {
    val name: String = told.the("name")
    val kind: String = told.the("kind")
    val task: String = told.the("task")
    val runtime: String = told.the("runtime")
    val precision: String = told.the("precision")
    val files: List<ModelFile> = told.parts("files").map(::ModelFile)
    val labels: List<String> = told.texts("labels")
    val activation: String = told.the("activation")
    val temperature: Double = told.the("temperature")
    val preprocessing: Preprocessing? = told.part("preprocessing")?.let(::Preprocessing)
    val texts: Texts? = told.part("texts")?.let(::Texts)
    val sound: Sound? = told.part("sound")?.let(::Sound)
    val listening: Listening? = told.part("listening")?.let(::Listening)

    /** Of the confidence, below which the teacher should be asked; null where none was chosen. */
    val threshold: Double? = told.part("routing")?.the<Double>("threshold")
    val counting: Counting? = told.part("counting")?.let(::Counting)
    val transcription: Transcription? = told.part("transcription")?.let(::Transcription)

    internal val golden: Map<String, Any?> = told.the("golden")

    /** SHA-256 of the bundle that this was made from. */
    val bundle: String = told.the<Map<String, Any?>>("origin").the("bundle")

    /** The file that holds a program. Throws IllegalArgumentException: there is none. */
    fun file(program: String): ModelFile =
        requireNotNull(files.find { it.program == program }) { "$name has no program `$program`" }

    /** The name by which a file of several programs knows this one; null in a file of one. */
    fun signatureOf(file: ModelFile): String? =
        file.program.takeIf { files.count { other -> other.file == file.file } > 1 }

    companion object {
        /** Throws IllegalArgumentException: not of format 1, or damaged. */
        fun read(files: Files): App {
            val told = Json.read(files.bytes("app.json").toString(Charsets.UTF_8))
            require(told.int("format") == 1) { "app.json is of a format that this code is not for" }
            return App(told)
        }
    }
}

/** A program, and the file that holds it. */
class ModelFile internal constructor(told: Map<String, Any?>) {
    val program: String = told.the("program")
    val file: String = told.the("file")
    val bytes: Long = told.the<Double>("bytes").toLong()
    val inputs: List<TensorSpec> = told.parts("inputs").map(::TensorSpec)
    val outputs: List<TensorSpec> = told.parts("outputs").map(::TensorSpec)

    /** Name of an output to that of the input it is fed back to. */
    val state: Map<String, String> = told.the("state")

    /** The inputs that are no state. */
    val fresh: List<TensorSpec> get() = inputs.filter { it.name !in state.values }

    /** The output that answers: `logits`, else the first. */
    val answer: TensorSpec get() = outputs.find { it.name == "logits" } ?: outputs.first()
}

/** What is done to a picture before it is fed. */
class Preprocessing internal constructor(told: Map<String, Any?>) {
    val height: Int = told.ints("image_size")[0]
    val width: Int = told.ints("image_size")[1]
    val channels: Int = told.int("channels")

    /** `crop`, `stretch` or `fit`. */
    val how: String = told.the<Map<String, Any?>>("resize").the("how")
}

/** What an embedding is compared with: rows of length 1, (labels, values). */
class Texts internal constructor(told: Map<String, Any?>) {
    val file: String = told.the("file")
    val scale: Double = told.the("scale")
}

/** What a model of sound hears at once. */
class Sound internal constructor(told: Map<String, Any?>) {
    /** Samples a second. */
    val rate: Int = told.int("rate")
    val samples: Int = told.int("samples")

    /** Of a longer recording its `end`, its `middle`, or about what is `spoken`. */
    val cut: String = told.the("cut")
}

/** How a stream is listened to. */
class Listening internal constructor(told: Map<String, Any?>) {
    val program: String = told.the("program")
    val rate: Int = told.int("rate")
    val hop: Int = told.int("hop")
    val leadIn: Int = told.int("lead_in")
    val smoothing: Int = told.int("smoothing")
    val refractory: Int = told.int("refractory")

    /** By keyword, what its smoothed probability has to exceed. */
    val thresholds: Map<String, Double> = told.the("thresholds")
}

/** What counters count beside the classes. */
class Counting internal constructor(told: Map<String, Any?>) {
    val edges: DoubleArray = told.doubles("edges")

    /** By which logits are divided for the confidence that is counted. */
    val temperature: Double = told.the("temperature")
}

/** How sound becomes text. */
class Transcription internal constructor(told: Map<String, Any?>) {
    val language: String = told.the("language")
    val rate: Int = told.int("rate")
    val window: Int = told.int("window")
    val spaced: Boolean = told.the("spaced")
    val rules: Rules = Rules(told.the("rules"))
    val guards: Guards = Guards(told.the("guards"))
    val vocabulary: String = told.the("vocabulary")
}
