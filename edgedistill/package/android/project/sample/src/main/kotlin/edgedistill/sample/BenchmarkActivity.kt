package edgedistill.sample

import android.app.Activity
import android.os.Build
import android.os.Bundle
import android.util.Log
import android.widget.ScrollView
import android.widget.TextView
import edgedistill.Edgedistill
import edgedistill.core.Accelerator
import edgedistill.core.Measuring
import edgedistill.core.Protocol
import java.io.File
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** Measures the model and prints the record as JSON: on the screen, in the log under `edgedistill`,
 * and in `record.json` among the app's files.
 *
 * `adb shell am start -n edgedistill.sample/.BenchmarkActivity --es accelerator GPU --ei threads 4` */
class BenchmarkActivity : Activity() {
    private val scope = MainScope()

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        val words = TextView(this).apply { text = "measuring" }
        setContentView(ScrollView(this).apply { addView(words) })
        val accelerator = Accelerator.valueOf(intent.getStringExtra("accelerator") ?: "CPU")
        val protocol = Protocol(threads = intent.getIntExtra("threads", 1))
        scope.launch {
            val record = withContext(Dispatchers.Default) { measured(accelerator, protocol) }
            words.text = record
            Log.i("edgedistill", record)
            File(filesDir, "record.json").writeText(record)
        }
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    private suspend fun measured(accelerator: Accelerator, protocol: Protocol): String {
        val files = Edgedistill.files(this)
        val isa = if (Build.SUPPORTED_ABIS.first() == "arm64-v8a") "aarch64" else "x86_64"
        return Measuring(files, accelerator, protocol, isa) { Edgedistill.runtime(files) }.record()
    }
}
