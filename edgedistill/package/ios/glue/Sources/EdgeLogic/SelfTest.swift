import Foundation

/// How near a model is to its golden data.
public struct Check: Equatable, Sendable {
    /// Largest difference of a value, in the file's own numbers; of speech the edits.
    public let worst: Double
    public let tolerance: Double
    /// Of speech those that are expected.
    public var tokens: Int? = nil
}

/// Golden data: whether this device's runtime gives what the compile saw.
public struct SelfTest {
    private let description: Description
    private let folder: URL

    public init(_ description: Description, folder: URL) {
        self.description = description
        self.folder = folder
    }

    /// Throws `ModelError.selfTestFailed`: the model answers otherwise.
    public func run(_ programs: Programs) throws -> Check {
        guard let main = description.golden.main else { return try speech(programs) }
        let found = try check(description.file("main"), main, programs, keepsState: false)
        guard let steps = description.golden.steps, let listening = description.listening else {
            return found
        }
        let file = try description.file(listening.program)
        let further = try check(file, steps, programs, keepsState: true)
        return further.worst > found.worst ? further : found
    }

    private func check(
        _ file: ModelFile, _ golden: Golden.Run, _ programs: Programs, keepsState: Bool
    ) throws -> Check {
        let inputs = try golden.inputs.map { ($0.name, try rows($0)) }
        let expected = try golden.outputs.map { ($0.name, try rows($0)) }
        var (states, apart) = (file.beginning, [Double]())
        for sample in 0..<golden.samples {
            var fed = keepsState ? states : file.beginning
            for (name, rows) in inputs { fed[name] = rows[sample] }
            let outputs = try programs.run(file.program, fed)
            states = try file.fedBack(outputs)
            for (name, rows) in expected {
                let found = try outputs.named(name).values
                guard found.count == rows[sample].values.count else {
                    throw ModelError.selfTestFailed("`\(name)` has \(found.count) values")
                }
                apart += zip(found, rows[sample].values).map { abs($0 - $1) }
            }
        }
        let near = Double(apart.filter { $0 <= golden.tolerance }.count) / Double(apart.count)
        let worst = apart.contains(where: \.isNaN) ? Double.nan : apart.max() ?? 0
        guard near >= golden.share else {
            throw ModelError.selfTestFailed(
                "\(apart.count) values, \(near) of them within \(golden.tolerance); the worst is "
                    + "\(worst) off")
        }
        return Check(worst: worst, tolerance: golden.tolerance)
    }

    /// An array's samples, each a batch of one.
    private func rows(_ array: Golden.Array) throws -> [Tensor] {
        let bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent(array.file)))
        let size = bytes.count / max(1, array.shape[0])
        return try (0..<array.shape[0]).map {
            try Tensor(
                dtype: array.dtype, shape: [1] + array.shape.dropFirst(),
                bytes: Array(bytes[$0 * size..<($0 + 1) * size]))
        }
    }

    private func speech(_ programs: Programs) throws -> Check {
        guard let told = description.transcription else {
            throw ModelError.broken("there is no golden data")
        }
        let vocabulary = try Data(contentsOf: folder.appendingPathComponent(told.vocabulary))
        let recognizer = try Recognizer(description, vocabulary: vocabulary)
        let golden = description.golden
        var (wrong, count) = (0, 0)
        for each in golden.utterances ?? [] {
            let file = try Data(contentsOf: folder.appendingPathComponent(each.file))
            let samples = try Sounds.wav(file, rate: told.rate)
            let found = try recognizer.transcribe(samples, programs)
            wrong += SelfTest.edits(found.segments.flatMap(\.tokens), each.tokens)
            count += each.tokens.count
        }
        return try SelfTest.check(edits: wrong, of: count, share: golden.edits ?? 0)
    }

    /// Throws `ModelError.selfTestFailed`: they are more than a share of the tokens.
    static func check(edits: Int, of tokens: Int, share: Double) throws -> Check {
        guard Double(edits) <= share * Double(tokens) else {
            throw ModelError.selfTestFailed(
                "\(edits) edits of \(tokens) tokens; a share of \(share) may be")
        }
        return Check(worst: Double(edits), tolerance: share * Double(tokens), tokens: tokens)
    }

    /// How many tokens are put in, left out or changed (Levenshtein).
    static func edits(_ found: [Int], _ wanted: [Int]) -> Int {
        var row = Array(0...wanted.count)
        for (at, token) in found.enumerated() {
            var next = [at + 1]
            for (to, right) in wanted.enumerated() {
                let changed = row[to] + (token == right ? 0 : 1)
                next.append(min(changed, row[to + 1] + 1, next[to] + 1))
            }
            row = next
        }
        return row[wanted.count]
    }
}
