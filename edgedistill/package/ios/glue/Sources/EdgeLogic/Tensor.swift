import Foundation

/// What goes wrong, in words.
public enum ModelError: Error, CustomStringConvertible, Equatable {
    /// What was given is not what the model takes.
    case wrongUse(String)
    /// The files or the runtime are not as they should be.
    case broken(String)
    /// The self-test's answers are not the golden ones.
    case selfTestFailed(String)

    public var description: String {
        switch self {
        case .wrongUse(let words), .broken(let words), .selfTestFailed(let words): return words
        }
    }
}

/// Numbers as a file holds them, little-endian, the last axis first.
public struct Tensor: Equatable, Sendable {
    public let dtype: String
    public let shape: [Int]
    public let bytes: [UInt8]

    public init(dtype: String, shape: [Int], bytes: [UInt8]) throws {
        guard let size = Tensor.size(of: dtype) else {
            throw ModelError.broken("tensors of type \(dtype) are not known")
        }
        guard bytes.count == shape.reduce(size, *) else {
            throw ModelError.broken("\(bytes.count) bytes are no \(dtype) tensor of shape \(shape)")
        }
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
    }

    /// Zeros: the zero point where there is a scale.
    public init(filling spec: TensorSpec) {
        let count = spec.sizes.reduce(1, *)
        self.init(values: [Double](repeating: Double(spec.zeroPoint ?? 0), count: count), spec: spec)
    }

    /// Whole token numbers and positions.
    public init(int32 value: Int) {
        dtype = "int32"
        shape = [1]
        bytes = Tensor.pack([Int32(value)])
    }

    /// Real values as a file takes them; where it has a scale rounded, halves to even, and cut to
    /// the type. Pictures come channels last, and are laid out as the file says.
    public init(real: [Float], spec: TensorSpec) {
        var values = real
        let sizes = spec.sizes
        if spec.layout == "NCHW", sizes.count == 4 {
            values = Tensor.channelsFirst(real, channels: sizes[1], pixels: sizes[2] * sizes[3])
        }
        guard let scale = spec.scale else {
            self.init(values: values.map(Double.init), spec: spec)
            return
        }
        let reciprocal = Float(1 / scale)
        let zero = Float(spec.zeroPoint ?? 0)
        let steps = values.map { Double(($0 * reciprocal).rounded(.toNearestOrEven) + zero) }
        self.init(values: steps, spec: spec)
    }

    private init(values: [Double], spec: TensorSpec) {
        dtype = spec.dtype
        shape = spec.sizes
        func cut<T: FixedWidthInteger>(_ type: T.Type) -> [T] {
            values.map { T(min(max($0, Double(T.min)), Double(T.max))) }
        }
        switch spec.dtype {
        case "int8": bytes = Tensor.pack(cut(Int8.self))
        case "uint8": bytes = Tensor.pack(cut(UInt8.self))
        case "int16": bytes = Tensor.pack(cut(Int16.self))
        case "int32": bytes = Tensor.pack(cut(Int32.self))
        default: bytes = Tensor.pack(values.map(Float.init))
        }
    }

    /// What the values stand for.
    public func reals(_ spec: TensorSpec) -> [Float] {
        let stored = values.map(Float.init)
        guard let scale = spec.scale else { return stored }
        let zero = Float(spec.zeroPoint ?? 0)
        return stored.map { ($0 - zero) * Float(scale) }
    }

    /// The stored numbers.
    public var values: [Double] {
        switch dtype {
        case "int8": return Tensor.unpack(bytes, as: Int8.self).map(Double.init)
        case "uint8": return Tensor.unpack(bytes, as: UInt8.self).map(Double.init)
        case "int16": return Tensor.unpack(bytes, as: Int16.self).map(Double.init)
        case "int32": return Tensor.unpack(bytes, as: Int32.self).map(Double.init)
        default: return Tensor.unpack(bytes, as: Float.self).map(Double.init)
        }
    }

    /// Bytes of one value; nil of a type that is not known.
    public static func size(of dtype: String) -> Int? {
        ["int8": 1, "uint8": 1, "int16": 2, "int32": 4, "float32": 4][dtype]
    }

    private static func channelsFirst(_ real: [Float], channels: Int, pixels: Int) -> [Float] {
        (0..<channels).flatMap { channel in
            (0..<pixels).map { real[$0 * channels + channel] }
        }
    }

    private static func pack<T>(_ values: [T]) -> [UInt8] {
        values.withUnsafeBytes { [UInt8]($0) }
    }

    private static func unpack<T>(_ bytes: [UInt8], as type: T.Type) -> [T] {
        let stride = MemoryLayout<T>.stride
        return bytes.withUnsafeBytes { raw in
            (0..<bytes.count / stride).map {
                raw.loadUnaligned(fromByteOffset: $0 * stride, as: type)
            }
        }
    }
}

/// What runs a model's programs; a runtime's own code says how.
public protocol Programs {
    /// One inference: the file's own inputs to its own outputs, by name.
    func run(_ program: String, _ inputs: [String: Tensor]) throws -> [String: Tensor]
}
