package edgedistill.sample

import android.app.Activity
import android.content.Context
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.os.Bundle
import android.view.Surface
import android.view.TextureView
import android.widget.FrameLayout
import android.widget.TextView
import edgedistill.Edgedistill
import edgedistill.asPicture
import edgedistill.core.Answer
import edgedistill.core.Opened
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.delay
import kotlinx.coroutines.isActive
import kotlinx.coroutines.launch

/** The camera's picture, and what the model says of it. */
class CameraActivity : Activity(), TextureView.SurfaceTextureListener {
    private val scope = MainScope()
    private lateinit var preview: TextureView
    private lateinit var words: TextView
    private var camera: CameraDevice? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        preview = TextureView(this).apply { surfaceTextureListener = this@CameraActivity }
        words = TextView(this).apply { textSize = 24f }
        setContentView(FrameLayout(this).apply {
            addView(preview)
            addView(words)
        })
        scope.launch {
            Edgedistill.classifier(this@CameraActivity).use { classifier ->
                while (isActive) {
                    // As it is seen, the right way up; a quarter of the screen's pixels is plenty.
                    preview.getBitmap(preview.width / 4, preview.height / 4)?.let {
                        val answer = classifier.classify(it.asPicture())
                        words.text = answer.inWords() + classifier.accelerated()
                    }
                    delay(100)
                }
            }
        }
    }

    override fun onDestroy() {
        scope.cancel()
        camera?.close()
        super.onDestroy()
    }

    @Suppress("DEPRECATION") // What follows it takes API 28.
    override fun onSurfaceTextureAvailable(texture: SurfaceTexture, width: Int, height: Int) {
        val manager = getSystemService(Context.CAMERA_SERVICE) as CameraManager
        texture.setDefaultBufferSize(640, 480)
        val surface = Surface(texture)
        manager.openCamera(manager.cameraIdList.first(), object : CameraDevice.StateCallback() {
            override fun onOpened(device: CameraDevice) {
                camera = device
                device.createCaptureSession(listOf(surface), showing(device, surface), null)
            }

            override fun onDisconnected(device: CameraDevice) = device.close()

            override fun onError(device: CameraDevice, error: Int) {
                words.text = "camera: error $error"
                device.close()
            }
        }, null)
    }

    override fun onSurfaceTextureSizeChanged(texture: SurfaceTexture, width: Int, height: Int) {}

    override fun onSurfaceTextureDestroyed(texture: SurfaceTexture) = true

    override fun onSurfaceTextureUpdated(texture: SurfaceTexture) {}

    private fun showing(device: CameraDevice, surface: Surface) =
        object : CameraCaptureSession.StateCallback() {
            override fun onConfigured(session: CameraCaptureSession) {
                val request = device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
                request.addTarget(surface)
                session.setRepeatingRequest(request.build(), null, null)
            }

            override fun onConfigureFailed(session: CameraCaptureSession) {
                words.text = "camera: cannot be shown"
            }
        }
}

internal fun Answer.inWords(): String {
    if (label == null) return probabilities.entries.joinToString("\n") { "${it.key}: ${it.value}" }
    val asks = if (route) ", better ask the teacher" else ""
    return "$label: ${(100 * confidence!!).toInt()} %$asks"
}

internal fun Opened.accelerated(): String =
    "\n$used" + if (refusal == null) "" else ", asked for $asked: $refusal"
