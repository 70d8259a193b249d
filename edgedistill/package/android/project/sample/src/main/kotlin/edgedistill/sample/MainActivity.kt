package edgedistill.sample

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageManager
import android.os.Bundle
import android.widget.TextView
import edgedistill.Edgedistill
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch

/** Opens the screen that suits the model, once the camera or the microphone may be used. */
class MainActivity : Activity() {
    private val scope = MainScope()

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        begin()
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    override fun onRequestPermissionsResult(code: Int, names: Array<String>, granted: IntArray) {
        if (granted.all { it == PackageManager.PERMISSION_GRANTED }) {
            begin()
        } else {
            setContentView(TextView(this).apply { text = "Not without ${names.joinToString()}" })
        }
    }

    private fun begin() {
        scope.launch(Dispatchers.Main) {
            val pictures = Edgedistill.app(this@MainActivity).kind == "picture"
            val wanted = if (pictures) Manifest.permission.CAMERA else Manifest.permission.RECORD_AUDIO
            if (checkSelfPermission(wanted) != PackageManager.PERMISSION_GRANTED) {
                requestPermissions(arrayOf(wanted), 0)
                return@launch
            }
            val screen = if (pictures) CameraActivity::class else MicrophoneActivity::class
            startActivity(Intent(this@MainActivity, screen.java))
            finish()
        }
    }
}
