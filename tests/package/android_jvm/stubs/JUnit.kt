@file:Suppress("UNUSED_PARAMETER")

/* What the instrumented test calls of JUnit 4, by its signatures. */
package org.junit

annotation class Test

object Assert {
    @JvmStatic
    fun assertEquals(expected: Any?, actual: Any?) {}

    @JvmStatic
    fun assertTrue(message: String, condition: Boolean) {}
}
