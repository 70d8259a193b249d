package edgedistill.core

import java.nio.ByteBuffer

/** How long to measure: until `runs` or `seconds` is reached, and after at least `minimum` runs. */
class Protocol(
    val warmup: Int = 10,
    val runs: Int = 200,
    val seconds: Double = 5.0,
    val minimum: Int = 10,
    val threads: Int = 1,
)

/** Loads and runs a program over its golden inputs, and says what that took: the record that
 * edgedistill's other runners write, as JSON. Times are in milliseconds, without encoding and
 * decoding. */
class Measuring(
    private val files: Files,
    private val accelerator: Accelerator,
    private val protocol: Protocol,
    /** Of the processor, such as `aarch64`. */
    private val isa: String,
    private val open: () -> Programs,
) {
    fun record(): String {
        val app = App.read(files)
        require(app.kind != "speech") { "of speech, measure by transcribing" }
        val file = app.file("main")
        val began = now()
        val programs = open()
        val version = programs.version
        val opened = now() - began
        val load = { programs.open(file, app.signatureOf(file), accelerator, protocol.threads) }
        val (program, cold) = timed(load)
        program.use {
            val samples = inputs(app, file)
            val warmup = warmUp(program, samples)
            val times = measure(program, samples)
            // Beside the first, as an app's second model is.
            val (second, warm) = timed(load)
            second.close()
            return Json.write(
                linkedMapOf(
                    "runtime" to programs.runtime,
                    "version" to version,
                    "isa" to isa,
                    "accelerator" to mapOf("asked" to program.asked, "used" to program.used),
                    "open_ms" to opened,
                    "cold_load_ms" to cold,
                    "warm_load_ms" to warm,
                    "warmup_ms" to warmup,
                    "samples_ms" to times,
                    "outputs" to file.outputs.associate {
                        it.name to mapOf("dtype" to it.dtype, "shape" to it.shape)
                    },
                )
            )
        }
    }

    private fun inputs(app: App, file: ModelFile): List<Map<String, ByteBuffer>> {
        val samples = app.golden.int("samples")
        val whole = app.golden.parts("inputs").associate { array ->
            array.the<String>("name") to files.bytes(array.the("file"))
        }
        return List(samples) { sample ->
            file.inputs.associate { spec ->
                val bytes = whole.getValue(spec.name)
                val size = bytes.size / samples
                spec.name to buffer(bytes.copyOfRange(sample * size, (sample + 1) * size))
            }
        }
    }

    /** Blocks of runs until the median of one is within 5 % of the last one's, ten at most. */
    private fun warmUp(program: Program, samples: List<Map<String, ByteBuffer>>): List<Double> {
        val times = ArrayList<Double>()
        var last = 0.0
        val began = now()
        for (block in 0 until if (protocol.warmup > 0) BLOCKS else 0) {
            val these = List(protocol.warmup) { run(program, samples, times.size + it) }
            times += these
            val median = median(these)
            val settled = median in 0.95 * last..1.05 * last
            if (block > 0 && (settled || now() - began > 1000 * protocol.seconds)) break
            last = median
        }
        return times
    }

    private fun measure(program: Program, samples: List<Map<String, ByteBuffer>>): List<Double> {
        val times = ArrayList<Double>()
        val began = now()
        while (
            times.size < protocol.minimum ||
            (times.size < protocol.runs && now() - began < 1000 * protocol.seconds)
        ) {
            times += run(program, samples, times.size)
        }
        return times
    }

    private fun run(program: Program, samples: List<Map<String, ByteBuffer>>, turn: Int): Double =
        timed { program.run(samples[turn % samples.size]) }.second

    private companion object {
        const val BLOCKS = 10

        fun now(): Double = System.nanoTime() / 1e6

        fun <T> timed(work: () -> T): Pair<T, Double> {
            val began = now()
            val found = work()
            return found to now() - began
        }

        fun median(values: List<Double>): Double {
            val sorted = values.sorted()
            return (sorted[(sorted.size - 1) / 2] + sorted[sorted.size / 2]) / 2
        }
    }
}
