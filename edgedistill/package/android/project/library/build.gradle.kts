plugins {
    id("com.android.library")
    id("org.jetbrains.kotlin.android")
}

val runtime = property("edgedistill.runtime") as String

android {
    namespace = "edgedistill"
    compileSdk = 36

    defaultConfig {
        minSdk = 26
        consumerProguardFiles("consumer-rules.pro")
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }
    // Models are mapped into memory, which takes assets that are stored and not compressed. An app
    // says the same of itself: what a library says here does not reach it.
    androidResources { noCompress += listOf("tflite", "onnx") }
    sourceSets["main"].kotlin.srcDir("src/$runtime/kotlin")
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
}

kotlin { compilerOptions { jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_11 } }

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.10.2")
    when (runtime) {
        "litert" -> implementation("com.google.ai.edge.litert:litert:2.3.0")
        "onnxruntime" -> implementation("com.microsoft.onnxruntime:onnxruntime-android:1.29.0")
        else -> error("edgedistill.runtime: litert or onnxruntime, and not $runtime")
    }
    androidTestImplementation("androidx.test:runner:1.6.2")
    androidTestImplementation("androidx.test.ext:junit:1.2.1")
}
