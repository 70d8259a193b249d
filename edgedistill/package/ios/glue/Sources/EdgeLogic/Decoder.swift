import Foundation

/// Greedy decoding of a window, token by token.
public struct Decoder {
    private let encode: ModelFile
    private let step: ModelFile
    private let rules: Transcription.Rules
    private let guards: Transcription.Guards

    public init(_ description: Description) throws {
        guard let told = description.transcription else {
            throw ModelError.wrongUse("this model does not transcribe")
        }
        encode = try description.file("encode")
        step = try description.file("decode_step")
        (rules, guards) = (told.rules, told.guards)
    }

    /// The tokens of a window in -1..1, and whether the model ended them itself.
    public func decode(_ samples: [Float], _ programs: Programs) throws -> (
        tokens: [Int], ended: Bool
    ) {
        let spec = encode.inputs[0]
        let heard = try programs.run("encode", [spec.name: Tensor(real: samples, spec: spec)])
        var states = step.beginning
        func ask(_ token: Int, _ position: Int) throws -> [Float] {
            var fed = heard.merging(states) { $1 }
            fed["token"] = Tensor(int32: token)
            fed["position"] = Tensor(int32: position)
            let outputs = try programs.run("decode_step", fed)
            states = try step.fedBack(outputs)
            return try step.answered(outputs)
        }
        var logits = [Float]()
        for (position, token) in rules.prompt.enumerated() {
            logits = try ask(token, position)
            if position == 0, let silence = rules.noSpeech,
                Answers.softmax(logits, temperature: 1)[silence] > guards.noSpeech
            {
                return ([], true)
            }
        }
        var said = [Int]()
        while true {
            for token in rules.suppressed { logits[token] = -.infinity }
            if said.isEmpty {
                for token in rules.suppressedFirst { logits[token] = -.infinity }
            }
            guard let token = Answers.largest(logits), logits[token].isFinite else {
                throw ModelError.broken("the model gives what is no number")
            }
            if token == rules.end { return (said, true) }
            said.append(token)
            if let kept = Decoder.again(said, guards) { return (Array(said[..<kept]), false) }
            if rules.prompt.count + said.count >= rules.limit { return (said, false) }
            logits = try ask(token, rules.prompt.count + said.count - 1)
        }
    }

    /// How many tokens stay where the last ones repeat themselves too often; else nil.
    static func again(_ said: [Int], _ guards: Transcription.Guards) -> Int? {
        guard let allowed = guards.repeats else { return nil }
        var (most, length) = (0, 0)
        for n in 1...max(1, guards.longest) where n <= said.count {
            var (times, end) = (0, said.count - n)
            while end >= n && said[end - n..<end] == said[(said.count - n)...] {
                times += 1
                end -= n
            }
            if times > most { (most, length) = (times, n) }
        }
        return most > allowed ? said.count - most * length : nil
    }
}

/// What is said in a piece of sound that was decoded at once.
public struct Segment: Equatable, Sendable {
    /// Seconds from the beginning.
    public let start: Double
    public let end: Double
    public let text: String
    public let tokens: [Int]
    /// Whether all of it was transcribed, and neither its tokens nor the guards cut it off.
    public let ended: Bool
}

/// What is said in a sound; silence between segments is in none.
public struct Transcript: Equatable, Sendable {
    public let text: String
    public let segments: [Segment]
    public let seconds: Double
}

/// Speech to text: sound cut at its quietest places, decoded piece by piece, joined.
public struct Recognizer {
    private let told: Transcription
    private let decoder: Decoder
    private let pieces: [Data]

    public init(_ description: Description, vocabulary: Data) throws {
        guard let transcription = description.transcription else {
            throw ModelError.wrongUse("this model does not transcribe")
        }
        told = transcription
        decoder = try Decoder(description)
        let read = try JSONDecoder().decode(Vocabulary.self, from: vocabulary)
        pieces = read.pieces.map { Data(base64Encoded: $0) ?? Data() }
    }

    private struct Vocabulary: Decodable {
        let pieces: [String]
    }

    public func transcribe(_ samples: [Int16], _ programs: Programs) throws -> Transcript {
        let rate = Double(told.rate)
        var (begin, segments) = (0, [Segment]())
        for end in Parting.ends(samples, window: told.window, rate: told.rate) {
            defer { begin = end }
            let piece = samples[begin..<end]
            if Parting.silent(piece, rate: told.rate) { continue }
            var window = Sounds.reals(Array(piece))
            window += [Float](repeating: 0, count: told.window - window.count)
            let (tokens, ended) = try decoder.decode(window, programs)
            segments.append(
                Segment(
                    start: Double(begin) / rate, end: Double(end) / rate, text: text(tokens),
                    tokens: tokens, ended: ended))
        }
        let texts = segments.map(\.text).filter { !$0.isEmpty }
        return Transcript(
            text: texts.joined(separator: told.spaced ? " " : ""), segments: segments,
            seconds: Double(samples.count) / rate)
    }

    private func text(_ tokens: [Int]) -> String {
        let bytes = tokens.reduce(into: Data()) { $0.append(pieces[$1]) }
        return String(decoding: bytes, as: UTF8.self)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
