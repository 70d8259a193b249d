import EdgeLogic
import Foundation

/// The model, its files and its runtime. An actor: one call after the other, off the main thread.
public actor Model {
    private let description: Description
    private let folder: URL
    private let runtime: Runtime
    private var counts: Counters
    private var listener: Listener?
    private var recognizer: Recognizer?

    /// The model that this package carries.
    public static func open(threads: Int = 2) async throws -> Model {
        guard let folder = Bundle.module.url(forResource: "data", withExtension: nil) else {
            throw ModelError.broken("the package's resources are not there")
        }
        return try Model(folder: folder, threads: threads)
    }

    /// folder: where `app.json` and the model's files lie.
    public init(folder: URL, threads: Int) throws {
        self.folder = folder
        description = try Description.read(from: folder)
        runtime = try Runtime(description, folder: folder, threads: threads)
        counts = Counters(description)
    }

    /// The answer to a picture.
    public func classify(_ picture: Pixels) throws -> Answer {
        guard let told = description.preprocessing else {
            throw ModelError.wrongUse("this model takes no pictures")
        }
        return try answer(picture.prepared(told).reals)
    }

    /// The answer to a recording at the model's rate, samples in -1..1.
    public func classify(samples: [Float]) throws -> Answer {
        guard let told = description.sound else {
            throw ModelError.wrongUse("this model takes no sound")
        }
        return try answer(Sounds.window(try Sounds.whole(samples), told))
    }

    private func answer(_ real: [Float]) throws -> Answer {
        let file = try description.file("main")
        let spec = file.inputs[0]
        let outputs = try runtime.run("main", [spec.name: Tensor(real: real, spec: spec)])
        guard let found = outputs[file.answer.name] else {
            throw ModelError.broken("the model gives no `\(file.answer.name)`")
        }
        let logits = try compared(found.reals(file.answer))
        let answer = Answers.of(logits, description)
        if answer.label != nil { counts.count(logits, routed: answer.route) }
        return answer
    }

    private func compared(_ outputs: [Float]) throws -> [Float] {
        guard let texts = description.texts else { return outputs }
        let bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent(texts.file)))
        let rows = try Tensor(dtype: "float32", shape: texts.shape, bytes: bytes)
        return Answers.compared(outputs, with: rows.values.map(Float.init), scale: texts.scale)
    }

    /// Keywords that are heard in the next samples of a stream, in -1..1 at the model's rate.
    public func listen(_ chunk: [Float]) throws -> [Detection] {
        var current = try listener ?? Listener(description, runtime)
        let found = try current.feed(chunk, runtime)
        listener = current
        return found
    }

    /// Let the next samples that are listened to begin a stream.
    public func restart() {
        listener = nil
    }

    /// What is said in samples in -1..1 at the model's rate.
    public func transcribe(_ samples: [Float]) throws -> Transcript {
        if recognizer == nil, let told = description.transcription {
            let vocabulary = folder.appendingPathComponent(told.vocabulary)
            recognizer = try Recognizer(description, vocabulary: Data(contentsOf: vocabulary))
        }
        guard let recognizer else {
            throw ModelError.wrongUse("this model does not transcribe")
        }
        return try recognizer.transcribe(Sounds.whole(samples), runtime)
    }

    /// Holds the model against its golden data; throws where it answers otherwise.
    public func selfTest() throws -> Check {
        try SelfTest(description, folder: folder).run(runtime)
    }

    /// JSON of what was counted of `classify`'s answers, for `edgedistill drift`.
    public func counters() throws -> Data {
        try counts.document()
    }

    /// Count anew.
    public func clearCounters() {
        counts = Counters(description)
    }
}
