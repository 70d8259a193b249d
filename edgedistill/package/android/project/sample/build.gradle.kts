plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "edgedistill.sample"
    compileSdk = 36

    defaultConfig {
        applicationId = "edgedistill.sample"
        minSdk = 26
        targetSdk = 36
        // Phones, and the emulator on a PC.
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }
    androidResources { noCompress += listOf("tflite", "onnx") }
    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
}

kotlin { compilerOptions { jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_11 } }

dependencies { implementation(project(":library")) }
