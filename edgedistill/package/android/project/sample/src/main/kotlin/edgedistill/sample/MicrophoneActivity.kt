package edgedistill.sample

import android.app.Activity
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder
import android.os.Bundle
import android.widget.TextView
import edgedistill.Edgedistill
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.channels.ReceiveChannel
import kotlinx.coroutines.isActive
import kotlinx.coroutines.launch

/** The microphone's sound, and what the model hears in it. */
class MicrophoneActivity : Activity() {
    private val scope = MainScope()
    private lateinit var words: TextView

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        words = TextView(this).apply { textSize = 24f }
        setContentView(words)
        scope.launch {
            val app = Edgedistill.app(this@MicrophoneActivity)
            when {
                app.kind == "speech" -> transcribe()
                app.listening != null -> listen()
                else -> classify()
            }
        }
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    private suspend fun listen() = Edgedistill.listener(this).use { listener ->
        words.text = "Say one of ${listener.app.listening!!.thresholds.keys}${listener.accelerated()}"
        val rate = listener.app.listening!!.rate
        for (samples in recorded(rate, rate / 10)) {
            for (heard in listener.listen(samples)) {
                words.text = "%s at %.1f s${listener.accelerated()}".format(heard.keyword, heard.seconds)
            }
        }
    }

    private suspend fun classify() = Edgedistill.classifier(this).use { classifier ->
        val sound = classifier.app.sound!!
        for (samples in recorded(sound.rate, sound.samples)) {
            words.text = classifier.classify(samples).inWords() + classifier.accelerated()
        }
    }

    private suspend fun transcribe() = Edgedistill.transcriber(this).use { transcriber ->
        val told = transcriber.app.transcription!!
        words.text = "Speak${transcriber.accelerated()}"
        for (samples in recorded(told.rate, told.window)) {
            words.text = transcriber.transcribe(samples).text
        }
    }

    /** Pieces of the microphone's sound, until this screen is left. */
    private fun recorded(rate: Int, samples: Int): ReceiveChannel<ShortArray> {
        val pieces = Channel<ShortArray>(4)
        scope.launch(Dispatchers.IO) {
            val least = AudioRecord.getMinBufferSize(
                rate, AudioFormat.CHANNEL_IN_MONO, AudioFormat.ENCODING_PCM_16BIT,
            )
            val record = AudioRecord(
                MediaRecorder.AudioSource.VOICE_RECOGNITION, rate, AudioFormat.CHANNEL_IN_MONO,
                AudioFormat.ENCODING_PCM_16BIT, maxOf(least, 4 * samples),
            )
            try {
                record.startRecording()
                while (isActive) {
                    val piece = ShortArray(samples)
                    var filled = 0
                    while (isActive && filled < samples) {
                        val read = record.read(piece, filled, samples - filled)
                        check(read >= 0) { "the microphone gives error $read" }
                        filled += read
                    }
                    pieces.send(piece)
                }
            } finally {
                record.release()
                pieces.close()
            }
        }
        return pieces
    }
}
