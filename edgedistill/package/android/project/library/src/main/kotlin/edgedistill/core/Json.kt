package edgedistill.core

/** Reads JSON into maps, lists, strings, doubles, booleans and null: enough for `app.json`, and
 * the same on a phone and on a plain JVM. */
internal class Json private constructor(private val text: String) {
    private var at = 0

    private fun value(): Any? {
        skip()
        return when (peek()) {
            '{' -> collection('}', LinkedHashMap<String, Any?>()) { into ->
                val name = string()
                expect(':')
                into[name] = value()
            }
            '[' -> collection(']', ArrayList<Any?>()) { into -> into.add(value()) }
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun <C> collection(end: Char, into: C, read: (C) -> Unit): C {
        at++
        skip()
        if (peek() == end) return into.also { at++ }
        while (true) {
            skip()
            read(into)
            skip()
            if (peek() == end) return into.also { at++ }
            expect(',')
        }
    }

    private fun string(): String {
        expect('"')
        val found = StringBuilder()
        while (true) {
            when (val char = next()) {
                '"' -> return found.toString()
                '\\' -> found.append(escaped())
                else -> found.append(char)
            }
        }
    }

    private fun escaped(): Char = when (val char = next()) {
        'n' -> '\n'
        't' -> '\t'
        'r' -> '\r'
        'b' -> '\b'
        'f' -> '\u000c'
        'u' -> {
            require(at + 4 <= text.length) { "cut off at $at" }
            text.substring(at, at + 4).toInt(16).toChar().also { at += 4 }
        }
        else -> char
    }

    private fun number(): Double {
        val start = at
        while (at < text.length && text[at] in "+-.0123456789eE") at++
        return requireNotNull(text.substring(start, at).toDoubleOrNull()) { "no value at $start" }
    }

    private fun word(letters: String, meaning: Any?): Any? {
        require(text.startsWith(letters, at)) { "no value at $at" }
        at += letters.length
        return meaning
    }

    private fun expect(char: Char) {
        skip()
        require(next() == char) { "no `$char` at ${at - 1}" }
    }

    private fun skip() {
        while (at < text.length && text[at].isWhitespace()) at++
    }

    private fun peek(): Char {
        require(at < text.length) { "cut off at $at" }
        return text[at]
    }

    private fun next(): Char = peek().also { at++ }

    companion object {
        /** Throws IllegalArgumentException: no JSON. */
        fun read(text: String): Map<String, Any?> {
            val reader = Json(text)
            val found = requireNotNull(reader.value() as? Map<*, *>) { "no JSON object" }
            reader.skip()
            require(reader.at == text.length) { "more than JSON at ${reader.at}" }
            @Suppress("UNCHECKED_CAST")
            return found as Map<String, Any?>
        }

        /** Maps, lists, arrays of doubles, strings, numbers, booleans and null as JSON. */
        fun write(value: Any?): String = when (value) {
            null -> "null"
            is Map<*, *> -> value.entries.joinToString(", ", "{", "}") { (key, each) ->
                "${quoted(key.toString())}: ${write(each)}"
            }
            is Iterable<*> -> value.joinToString(", ", "[", "]", transform = ::write)
            is IntArray -> write(value.asList())
            is DoubleArray -> write(value.asList())
            is Double -> if (value.isFinite()) value.toString() else "null"
            is Number, is Boolean -> value.toString()
            else -> quoted(value.toString())
        }

        private fun quoted(text: String): String = buildString {
            append('"')
            for (char in text) {
                when {
                    char == '"' || char == '\\' -> append('\\').append(char)
                    char < ' ' -> append("\\u%04x".format(char.code))
                    else -> append(char)
                }
            }
            append('"')
        }
    }
}

/** What lies under `name`; throws IllegalArgumentException where it is missing or another type. */
internal inline fun <reified T> Map<String, Any?>.the(name: String): T =
    requireNotNull(this[name] as? T) { "app.json: `$name` is missing or of another type" }

internal fun Map<String, Any?>.int(name: String): Int = the<Double>(name).toInt()

internal fun Map<String, Any?>.ints(name: String): IntArray =
    the<List<*>>(name).map { (it as Double).toInt() }.toIntArray()

internal fun Map<String, Any?>.doubles(name: String): DoubleArray =
    the<List<*>>(name).map { it as Double }.toDoubleArray()

internal fun Map<String, Any?>.texts(name: String): List<String> =
    the<List<*>>(name).map { it as String }

@Suppress("UNCHECKED_CAST")
internal fun Map<String, Any?>.part(name: String): Map<String, Any?>? =
    this[name] as Map<String, Any?>?

@Suppress("UNCHECKED_CAST")
internal fun Map<String, Any?>.parts(name: String): List<Map<String, Any?>> =
    the<List<*>>(name) as List<Map<String, Any?>>
