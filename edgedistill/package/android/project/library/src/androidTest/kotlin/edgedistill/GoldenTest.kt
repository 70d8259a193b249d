package edgedistill

import androidx.test.platform.app.InstrumentationRegistry
import edgedistill.core.Accelerator
import edgedistill.core.Opened
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.zip.ZipFile
import kotlinx.coroutines.runBlocking
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test

/** On a device: the golden data comes out as it did when the model was compiled. */
class GoldenTest {
    private val context = InstrumentationRegistry.getInstrumentation().targetContext

    @Test
    fun goldenDataComesOutRightOnTheCpu() = runBlocking {
        for (opened in opened(Accelerator.CPU)) {
            opened.use {
                val found = it.selfTest()
                assertEquals(Accelerator.CPU, it.used)
                println("golden data: ${found.within} of ${found.values}, worst ${found.worst}")
            }
        }
    }

    @Test
    fun anAcceleratorThatIsRefusedIsSaid() = runBlocking {
        for (opened in opened(Accelerator.GPU)) {
            opened.use { assertEquals(it.used != Accelerator.GPU, it.refusal != null) }
        }
    }

    @Test
    fun everyLibraryCanBeLoadedInPagesOf16Kb() {
        ZipFile(context.packageCodePath).use { apk ->
            for (entry in apk.entries()) {
                if (!entry.name.startsWith("lib/") || "64" !in entry.name) continue
                val least = leastAlignment(apk.getInputStream(entry).use { it.readBytes() })
                assertTrue("${entry.name}: $least", least >= 16384)
            }
        }
    }

    private suspend fun opened(accelerator: Accelerator): List<Opened> {
        val app = Edgedistill.app(context)
        if (app.kind == "speech") {
            return listOf(Edgedistill.transcriber(context, accelerator = accelerator))
        }
        val classifier = Edgedistill.classifier(context, accelerator = accelerator)
        if (app.listening == null) return listOf(classifier)
        return listOf(classifier, Edgedistill.listener(context, accelerator = accelerator))
    }

    /** The least alignment of what a 64-bit ELF file loads (System V ABI, program header). */
    private fun leastAlignment(bytes: ByteArray): Long {
        val elf = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
        val table = elf.getLong(32).toInt()
        val size = elf.getShort(54).toInt()
        return (0 until elf.getShort(56))
            .map { table + it * size }
            .filter { elf.getInt(it) == 1 }
            .minOf { elf.getLong(it + 48) }
    }
}
