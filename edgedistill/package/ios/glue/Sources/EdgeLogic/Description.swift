import Foundation

/// `app.json`, as far as the code reads it.
public struct Description: Codable, Sendable {
    public let name: String
    public let kind: String
    public let task: String
    public let runtime: String
    public let files: [ModelFile]
    public let labels: [String]
    public let activation: String
    public let temperature: Double
    public let preprocessing: Preprocessing?
    public let texts: Texts?
    public let sound: SoundWindow?
    public let listening: Listening?
    public let routing: Routing?
    public let counting: Counting?
    public let transcription: Transcription?
    public let golden: Golden
    public let origin: Origin

    /// Reads `app.json` in the folder that holds the model's files.
    public static func read(from folder: URL) throws -> Description {
        let text = try Data(contentsOf: folder.appendingPathComponent("app.json"))
        return try JSONDecoder().decode(Description.self, from: text)
    }

    /// The file that holds a program.
    public func file(_ program: String) throws -> ModelFile {
        guard let found = files.first(where: { $0.program == program }) else {
            throw ModelError.wrongUse("there is no program `\(program)`")
        }
        return found
    }
}

public struct ModelFile: Codable, Sendable {
    public let program: String
    public let file: String
    public let sha256: String
    public let inputs: [TensorSpec]
    public let outputs: [TensorSpec]
    /// An output's name to the input that it feeds back to.
    public let state: [String: String]

    /// Inputs that are no state.
    public var fresh: [TensorSpec] {
        let states = Set(state.values)
        return inputs.filter { !states.contains($0.name) }
    }

    /// The output that answers: `logits`, else the first.
    public var answer: TensorSpec {
        outputs.first { $0.name == "logits" } ?? outputs[0]
    }

    /// The states of zero that the first step is given.
    public var beginning: [String: Tensor] {
        let states = Set(state.values)
        return Dictionary(
            uniqueKeysWithValues: inputs.filter { states.contains($0.name) }.map {
                ($0.name, Tensor(filling: $0))
            })
    }
}

/// A tensor of a file; `real = scale * (stored - zeroPoint)` where it holds integers.
public struct TensorSpec: Codable, Sendable {
    public let name: String
    public let shape: [Int?]
    public let layout: String
    public let dtype: String
    public let scale: Double?
    public let zeroPoint: Int?

    enum CodingKeys: String, CodingKey {
        case name, shape, layout, dtype, scale
        case zeroPoint = "zero_point"
    }

    /// With a batch of one.
    public var sizes: [Int] { shape.map { $0 ?? 1 } }
}

public struct Preprocessing: Codable, Sendable {
    public struct Resize: Codable, Sendable {
        /// `crop`, `fit` or `stretch`.
        public let how: String
    }

    /// Height, width.
    public let imageSize: [Int]
    public let channels: Int
    public let resize: Resize

    enum CodingKeys: String, CodingKey {
        case channels, resize
        case imageSize = "image_size"
    }
}

public struct Texts: Codable, Sendable {
    public let file: String
    public let shape: [Int]
    public let scale: Double
}

public struct SoundWindow: Codable, Sendable {
    public let rate: Int
    public let samples: Int
    /// Which part of a longer recording is heard: `end`, `middle` or `spoken`.
    public let cut: String
}

public struct Listening: Codable, Sendable {
    public let program: String
    public let rate: Int
    public let hop: Int
    public let leadIn: Int
    public let smoothing: Int
    public let refractory: Int
    public let thresholds: [String: Double]

    enum CodingKeys: String, CodingKey {
        case program, rate, hop, smoothing, refractory, thresholds
        case leadIn = "lead_in"
    }
}

public struct Routing: Codable, Sendable {
    public let threshold: Double
}

public struct Counting: Codable, Sendable {
    public let edges: [Double]
    public let temperature: Double
}

public struct Transcription: Codable, Sendable {
    public struct Rules: Codable, Sendable {
        public let prompt: [Int]
        public let end: Int
        public let suppressed: [Int]
        public let suppressedFirst: [Int]
        public let limit: Int
        public let noSpeech: Int?

        enum CodingKeys: String, CodingKey {
            case prompt, end, suppressed, limit
            case suppressedFirst = "suppressed_first"
            case noSpeech = "no_speech"
        }
    }

    public struct Guards: Codable, Sendable {
        public let repeats: Int?
        public let longest: Int
        public let noSpeech: Double

        enum CodingKeys: String, CodingKey {
            case repeats, longest
            case noSpeech = "no_speech"
        }
    }

    public let rate: Int
    public let window: Int
    public let spaced: Bool
    public let rules: Rules
    public let guards: Guards
    public let vocabulary: String
}

public struct Golden: Codable, Sendable {
    public struct Array: Codable, Sendable {
        public let name: String
        public let file: String
        public let dtype: String
        public let shape: [Int]
    }

    public struct Run: Codable, Sendable {
        public let samples: Int
        public let inputs: [Array]
        public let outputs: [Array]
        public let tolerance: Double
        public let share: Double
    }

    public struct Utterance: Codable, Sendable {
        public let file: String
        public let tokens: [Int]
        public let text: String
    }

    public let samples: Int?
    public let inputs: [Array]?
    public let outputs: [Array]?
    public let tolerance: Double?
    public let share: Double?
    public let steps: Run?
    public let utterances: [Utterance]?
    /// Of the tokens of all utterances, the share that may be put in, left out or changed.
    public let edits: Double?

    /// Of the program `main`; none of speech.
    public var main: Run? {
        guard let samples, let inputs, let outputs, let tolerance, let share else { return nil }
        return Run(
            samples: samples, inputs: inputs, outputs: outputs, tolerance: tolerance, share: share)
    }
}

public struct Origin: Codable, Sendable {
    /// Digest of the bundle.
    public let bundle: String
}
