/// A keyword that was heard.
public struct Detection: Equatable, Sendable {
    public let keyword: String
    /// From the beginning of the stream to the end of the step that heard it.
    public let seconds: Double
    /// Its smoothed probability.
    public let confidence: Double
}

/// Smoothed probabilities against thresholds, and a rest after each keyword.
public struct Smoothing: Sendable {
    private let told: Listening
    private let keywords: [String]
    private var before: [[Double]]
    private var done = 0
    private var last: [String: Int] = [:]

    /// keywords: in the labels' order.
    public init(_ told: Listening, keywords: [String]) {
        self.told = told
        self.keywords = keywords
        let silence = [Double](repeating: 0, count: keywords.count)
        before = [[Double]](repeating: silence, count: told.smoothing)
    }

    /// What a step hears; its probabilities of the keywords.
    public mutating func hear(_ probabilities: [Double]) -> [Detection] {
        before.removeFirst()
        before.append(probabilities)
        var found = [Detection]()
        for (place, keyword) in keywords.enumerated() {
            // From the oldest to the newest: the same bits everywhere.
            let smooth = before.reduce(0) { $0 + $1[place] } / Double(before.count)
            let rested = last[keyword].map { done - $0 > told.refractory } ?? true
            if smooth > told.thresholds[keyword]! && rested {
                last[keyword] = done
                let seconds = Double((done + 1) * told.hop) / Double(told.rate)
                found.append(Detection(keyword: keyword, seconds: seconds, confidence: smooth))
            }
        }
        done += 1
        return found
    }
}

/// One stream of sound, from its beginning.
public struct Listener {
    private let told: Listening
    private let file: ModelFile
    private let classes: [Int]
    private let temperature: Double
    private var smoothing: Smoothing
    private var states: [String: Tensor]
    private var left = [Float]()

    /// Runs the silence that leads in.
    public init(_ description: Description, _ programs: Programs) throws {
        guard let listening = description.listening else {
            throw ModelError.wrongUse("this model does not listen")
        }
        told = listening
        file = try description.file(listening.program)
        let labels = description.labels
        classes = labels.indices.filter { listening.thresholds[labels[$0]] != nil }
        temperature = description.temperature
        smoothing = Smoothing(listening, keywords: classes.map { labels[$0] })
        states = file.beginning
        let silence = [Float](repeating: 0, count: told.hop)
        for _ in 0..<told.leadIn / told.hop { _ = try ask(silence, programs) }
    }

    /// What is heard in these samples in -1..1; what completes no hop waits for the next ones.
    public mutating func feed(_ chunk: [Float], _ programs: Programs) throws -> [Detection] {
        left += try Sounds.within(chunk)
        var (begin, found) = (0, [Detection]())
        while left.count - begin >= told.hop {
            let hop = Array(left[begin..<begin + told.hop])
            found += smoothing.hear(try ask(hop, programs))
            begin += told.hop
        }
        left.removeFirst(begin)
        return found
    }

    /// Probabilities of the keywords after a hop.
    private mutating func ask(_ samples: [Float], _ programs: Programs) throws -> [Double] {
        let spec = file.fresh[0]
        let fed = states.merging([spec.name: Tensor(real: samples, spec: spec)]) { $1 }
        let outputs = try programs.run(file.program, fed)
        states = try file.fedBack(outputs)
        let real = try file.answered(outputs)
        let all = Answers.softmax(real, temperature: temperature)
        return classes.map { all[$0] }
    }
}

extension ModelFile {
    /// The states that the next step is given, as the outputs hold them.
    func fedBack(_ outputs: [String: Tensor]) throws -> [String: Tensor] {
        var found = [String: Tensor]()
        for (given, taken) in state { found[taken] = try outputs.named(given) }
        return found
    }

    /// The real values of the output that answers.
    func answered(_ outputs: [String: Tensor]) throws -> [Float] {
        try outputs.named(answer.name).reals(answer)
    }
}

extension Dictionary where Key == String, Value == Tensor {
    func named(_ name: String) throws -> Tensor {
        guard let found = self[name] else { throw ModelError.broken("no output `\(name)`") }
        return found
    }
}
