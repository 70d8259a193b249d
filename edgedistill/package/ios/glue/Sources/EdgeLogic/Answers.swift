import Foundation

/// The answer to one picture or recording.
public struct Answer: Equatable, Sendable {
    /// The likeliest; nil of measures.
    public let label: String?
    /// Its probability; nil of measures.
    public let confidence: Double?
    /// Of every label; of measures the values themselves.
    public let probabilities: [String: Double]
    /// Whether the teacher should be asked.
    public let route: Bool
}

/// From a model's real outputs to answers.
public enum Answers {
    /// Probabilities of logits.
    public static func softmax(_ logits: [Float], temperature: Double) -> [Double] {
        let exact = logits.map(Double.init)
        let most = exact.max() ?? 0
        let powers = exact.map { exp(($0 - most) / temperature) }
        let total = powers.reduce(0, +)
        return powers.map { $0 / total }
    }

    /// Logits of an embedding: its cosine with each text's, times a scale.
    public static func compared(_ embedding: [Float], with texts: [Float], scale: Double) -> [Float] {
        let length = max(embedding.reduce(Float(0)) { $0 + $1 * $1 }.squareRoot(), 1e-12)
        return stride(from: 0, to: texts.count, by: embedding.count).map { row in
            var product: Float = 0
            for (place, value) in embedding.enumerated() {
                product += value / length * texts[row + place]
            }
            return Float(scale) * product
        }
    }

    /// What an app is told of outputs.
    public static func of(_ outputs: [Float], _ told: Description) -> Answer {
        let scores: [Double]
        switch told.activation {
        case "softmax": scores = softmax(outputs, temperature: told.temperature)
        case "sigmoid": scores = outputs.map { 1 / (1 + exp(-Double($0))) }
        default: scores = outputs.map(Double.init)
        }
        let named = Dictionary(zip(told.labels, scores), uniquingKeysWith: { first, _ in first })
        guard told.activation != "none", let best = largest(scores) else {
            return Answer(label: nil, confidence: nil, probabilities: named, route: false)
        }
        let route = told.routing.map { scores[best] < $0.threshold } ?? false
        return Answer(
            label: told.labels[best], confidence: scores[best], probabilities: named, route: route)
    }

    /// The place of the largest value; the first of equals.
    public static func largest<T: Comparable>(_ values: [T]) -> Int? {
        guard !values.isEmpty else { return nil }
        return values.indices.dropFirst().reduce(0) { values[$1] > values[$0] ? $1 : $0 }
    }
}

/// Counts of answers, by which the developer sees a drift: no picture and no sound leaves the
/// phone.
public struct Counters: Sendable {
    private let told: Counting?
    private let bundle: String
    private var answers: [Int]
    private var bins: [Int]
    private var routed = 0

    public init(_ description: Description) {
        told = description.counting
        bundle = description.origin.bundle
        answers = [Int](repeating: 0, count: description.labels.count)
        bins = [Int](repeating: 0, count: (told?.edges.count ?? -1) + 1)
    }

    /// One answer, of real logits; nothing where the bundle has no reference.
    public mutating func count(_ logits: [Float], routed asked: Bool) {
        guard let told, let best = Answers.largest(logits) else { return }
        let sure = Answers.softmax(logits, temperature: told.temperature).max() ?? 0
        answers[best] += 1
        bins[told.edges.filter { $0 <= sure }.count] += 1
        routed += asked ? 1 : 0
    }

    /// JSON, as `edgedistill drift` reads it. Throws where the bundle has no reference to compare
    /// with, so that nothing is counted.
    public func document() throws -> Data {
        guard let told else {
            throw ModelError.wrongUse("nothing is counted: the bundle has no reference")
        }
        let found = Document(
            format: 1, bundle: bundle, samples: answers.reduce(0, +), classes: answers,
            edges: told.edges, confidences: bins, routed: routed)
        return try JSONEncoder().encode(found)
    }

    private struct Document: Encodable {
        let format: Int
        let bundle: String
        let samples: Int
        let classes: [Int]
        let edges: [Double]
        let confidences: [Int]
        let routed: Int
    }
}
