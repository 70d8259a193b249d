import Foundation

/// 8-bit pixels, row by row, channels last.
public struct Pixels: Equatable, Sendable {
    public let height: Int
    public let width: Int
    /// 1 (grey), 3 (RGB) or 4 (RGBA, not premultiplied).
    public let channels: Int
    public let bytes: [UInt8]

    public init(height: Int, width: Int, channels: Int, bytes: [UInt8]) throws {
        guard height > 0, width > 0, [1, 3, 4].contains(channels),
            bytes.count == height * width * channels
        else {
            throw ModelError.wrongUse(
                "\(bytes.count) bytes are no picture of \(height) x \(width) x \(channels)")
        }
        self.init(unchecked: height, width, channels, bytes)
    }

    init(unchecked height: Int, _ width: Int, _ channels: Int, _ bytes: [UInt8]) {
        self.height = height
        self.width = width
        self.channels = channels
        self.bytes = bytes
    }

    /// The picture of a model's size and channels, resized as Pillow does it, to the bit.
    public func prepared(_ told: Preprocessing) -> Pixels {
        let (high, wide) = (told.imageSize[0], told.imageSize[1])
        let plain = withChannels(told.channels)
        if plain.height == high && plain.width == wide { return plain }
        switch told.resize.how {
        case "fit": return plain.inside(high, wide)
        case "crop":
            let shape = Double(wide) / Double(high)
            let (tall, broad) = (Double(height), Double(width))
            let (across, down) = (min(broad, tall * shape), min(tall, broad / shape))
            let (left, top) = ((broad - across) / 2, (tall - down) / 2)
            return plain.resized(high, wide, left, top, left + across, top + down)
        default: return plain.resized(high, wide, 0, 0, Double(width), Double(height))
        }
    }

    /// Reals in 0..1.
    public var reals: [Float] { bytes.map { Float($0) / 255 } }

    /// All of it in the middle of black; odd pixels are right and below.
    private func inside(_ high: Int, _ wide: Int) -> Pixels {
        let scale = min(Double(wide) / Double(width), Double(high) / Double(height))
        let across = min(wide, max(1, Int(Double(width) * scale + 0.5)))
        let down = min(high, max(1, Int(Double(height) * scale + 0.5)))
        let scaled = resized(down, across, 0, 0, Double(width), Double(height))
        let (top, left) = ((high - down) / 2, (wide - across) / 2)
        var whole = [UInt8](repeating: 0, count: high * wide * channels)
        for row in 0..<down {
            let place = ((top + row) * wide + left) * channels
            let line = scaled.bytes[row * across * channels..<(row + 1) * across * channels]
            whole.replaceSubrange(place..<place + line.count, with: line)
        }
        return Pixels(unchecked: high, wide, channels, whole)
    }

    /// Bilinear, averaging where it shrinks: a part of it, across and then down, each rounded to
    /// bytes.
    func resized(
        _ high: Int, _ wide: Int, _ left: Double, _ top: Double, _ right: Double, _ bottom: Double
    ) -> Pixels {
        var found = self
        let box = [left, top, right, bottom].map(Float.init)
        if wide != width || box[0] != 0 || box[2] != Float(wide) {
            found = found.along(box[0], box[2], wide, down: false)
        }
        if high != height || box[1] != 0 || box[3] != Float(high) {
            found = found.along(box[1], box[3], high, down: true)
        }
        return found
    }

    private func along(_ begin: Float, _ end: Float, _ size: Int, down: Bool) -> Pixels {
        let weights = Triangle.weights(begin, end, from: down ? height : width, to: size)
        let (high, wide) = down ? (size, width) : (height, size)
        let step = down ? width * channels : channels
        var found = [UInt8](repeating: 0, count: high * wide * channels)
        var place = 0
        for row in 0..<high {
            for column in 0..<wide {
                let (first, factors) = weights[down ? row : column]
                let origin = down ? column * channels : row * width * channels
                for channel in 0..<channels {
                    var sum = 1 << (Triangle.bits - 1)
                    var at = origin + first * step + channel
                    for factor in factors {
                        sum += factor * Int(bytes[at])
                        at += step
                    }
                    found[place] = UInt8(min(max(sum >> Triangle.bits, 0), 255))
                    place += 1
                }
            }
        }
        return Pixels(unchecked: high, wide, channels, found)
    }

    private func withChannels(_ wanted: Int) -> Pixels {
        let opaque = channels == 4 ? overWhite() : self
        if opaque.channels == wanted { return opaque }
        if wanted == 3 {
            let three = opaque.bytes.flatMap { [$0, $0, $0] }
            return Pixels(unchecked: height, width, 3, three)
        }
        // ITU-R 601-2, as Pillow has it.
        var grey = [UInt8]()
        grey.reserveCapacity(height * width)
        for place in stride(from: 0, to: opaque.bytes.count, by: 3) {
            let red = 19595 * Int(opaque.bytes[place])
            let green = 38470 * Int(opaque.bytes[place + 1])
            let blue = 7471 * Int(opaque.bytes[place + 2])
            grey.append(UInt8((red + green + blue + 0x8000) >> 16))
        }
        return Pixels(unchecked: height, width, 1, grey)
    }

    /// As Pillow lays one picture over another: with 7 bits of a weight's fraction.
    private func overWhite() -> Pixels {
        var found = [UInt8]()
        found.reserveCapacity(height * width * 3)
        for place in 0..<height * width {
            let alpha = Int(bytes[4 * place + 3])
            for channel in 0..<3 {
                let color = Int(bytes[4 * place + channel])
                let white: Int = 255 * (255 - alpha) * 128
                let mixed: Int = color * alpha * 128 + white + (0x80 << 7)
                found.append(UInt8((((mixed >> 8) + mixed) >> 8) >> 7))
            }
        }
        return Pixels(unchecked: height, width, 3, found)
    }
}

/// The weights of Pillow's resampling: each new pixel is the mean of those below a triangle.
enum Triangle {
    /// Of a weight's fraction.
    static let bits = 22

    /// For each new pixel the first old one, and the weights from there on.
    static func weights(_ begin: Float, _ end: Float, from count: Int, to size: Int)
        -> [(first: Int, factors: [Int])]
    {
        let scale = Double(end - begin) / Double(size)
        let spread = max(scale, 1)
        return (0..<size).map { place in
            let centre = Double(begin) + (Double(place) + 0.5) * scale
            let first = max(0, Int(centre - spread + 0.5))
            let last = min(count, Int(centre + spread + 0.5))
            let raw = (first..<max(first, last)).map { (old: Int) -> Double in
                let apart: Double = (Double(old) - centre + 0.5) * (1 / spread)
                return max(1 - abs(apart), 0)
            }
            let total = raw.reduce(0, +)
            return (first, raw.map { Int(0.5 + $0 / total * Double(1 << bits)) })
        }
    }
}
