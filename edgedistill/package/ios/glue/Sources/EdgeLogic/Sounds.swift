import Foundation

/// Sound to what a model takes.
public enum Sounds {
    /// Samples in -1..1, kept within. Throws on what is no number.
    public static func within(_ samples: [Float]) throws -> [Float] {
        guard samples.allSatisfy(\.isFinite) else {
            throw ModelError.wrongUse("sound with NaN or infinite samples")
        }
        return samples.map { min(max($0, -1), 1) }
    }

    public static func reals(_ samples: [Int16]) -> [Float] {
        samples.map { Float($0) * (1 / 32768) }
    }

    public static func whole(_ samples: [Float]) throws -> [Int16] {
        try within(samples).map {
            Int16(min(max(($0 * 32768).rounded(.toNearestOrEven), -32768), 32767))
        }
    }

    /// The samples of a WAV file of one channel and 16 bits. Throws where it is another one.
    public static func wav(_ file: Data, rate: Int) throws -> [Int16] {
        let bytes = [UInt8](file)
        func number(_ place: Int, _ count: Int) -> Int {
            var found = 0
            for each in 0..<count { found |= Int(bytes[place + each]) << (8 * each) }
            return found
        }
        func name(_ place: Int) -> String { String(decoding: bytes[place..<place + 4], as: UTF8.self) }
        guard bytes.count >= 12, name(0) == "RIFF", name(8) == "WAVE" else {
            throw ModelError.broken("it is no WAV file")
        }
        var (place, fits) = (12, false)
        while place + 8 <= bytes.count {
            let size = number(place + 4, 4)
            let begin = place + 8
            let end = min(begin + size, bytes.count)
            if name(place) == "fmt ", end - begin >= 16 {
                fits = number(begin + 2, 2) == 1 && number(begin + 4, 4) == rate
                    && number(begin + 14, 2) == 16
            } else if name(place) == "data" {
                guard fits else { break }
                return stride(from: begin, to: end - 1, by: 2).map {
                    Int16(bitPattern: UInt16(number($0, 2)))
                }
            }
            place = begin + size + size % 2
        }
        throw ModelError.broken("\(rate) samples a second of 16 bits and one channel are meant")
    }

    /// The part of a recording that a model hears, in -1..1; silence where there is none.
    public static func window(_ samples: [Int16], _ told: SoundWindow) -> [Float] {
        let spare = samples.count - told.samples
        var start = spare
        if told.cut == "middle" {
            start = Int((Double(spare) / 2).rounded(.down))
        } else if told.cut == "spoken" && spare > 0 {
            let end = endOfSpeech(samples, told.rate, told.samples) + told.rate * 250 / 1000
            start = min(max(end - told.samples, 0), spare)
        }
        var found = [Float](repeating: 0, count: told.samples)
        for place in max(start, 0)..<max(max(start, 0), min(start + told.samples, samples.count)) {
            found[place - start] = Float(samples[place]) * (1 / 32768)
        }
        return found
    }

    /// Where the shortest stretch ends that has most of a recording's loudness.
    static func endOfSpeech(_ samples: [Int16], _ rate: Int, _ longest: Int) -> Int {
        let frame = max(1, rate * 10 / 1000)
        let count = samples.count / frame
        guard count > 0 else { return samples.count }
        let power = (0..<count).map { number in
            Parting.power(samples[number * frame..<(number + 1) * frame]) / Double(frame)
        }
        let level = (0..<count).map { place -> Double in
            let near = max(0, place - 1)...min(count - 1, place + 1)
            return 10 * log10(power[near].reduce(0, +) / 3 + 1e-3)
        }
        let quiet = max(quantile(level, 0.2) + 6, level.max()! - 30)
        var until = [0.0]
        for each in level { until.append(until.last! + max(each - quiet, 0)) }
        let frames = min(max(1, longest / frame), count)
        let most = (frames...count).map { until[$0] - until[$0 - frames] }.max()!
        guard most > 0 else { return samples.count }
        var (shortest, end) = (Int.max, count)
        for first in 0..<count {
            let wanted = until[first] + 0.9 * most
            guard let last = until.firstIndex(where: { $0 >= wanted }) else { continue }
            if last - first < shortest { (shortest, end) = (last - first, last) }
        }
        return end * frame
    }

    /// As NumPy has it: between the two values beside the place.
    static func quantile(_ values: [Double], _ share: Double) -> Double {
        let sorted = values.sorted()
        let place = share * Double(sorted.count - 1)
        let below = Int(place)
        let above = min(below + 1, sorted.count - 1)
        return sorted[below] + (sorted[above] - sorted[below]) * (place - Double(below))
    }
}

/// Long recordings parted where they are quietest.
public enum Parting {
    /// The ends of the pieces, each of at most `window`, which one behind the other are all of it:
    /// cut about the quietest 200 ms of each window's second half.
    public static func ends(_ samples: [Int16], window: Int, rate: Int) -> [Int] {
        let least = min(rate, window / 2)
        var (begin, found) = (0, [Int]())
        while samples.count - begin > window {
            let left = samples.count - begin
            let last = left >= window + least ? window : left - least
            begin += quietest(Array(samples[begin..<begin + window]), window / 2, last, rate)
            found.append(begin)
        }
        return begin < samples.count ? found + [samples.count] : found
    }

    /// Of equals the latest.
    private static func quietest(_ samples: [Int16], _ first: Int, _ last: Int, _ rate: Int) -> Int {
        let half = max(1, rate * 200 / 2000)
        var energy = [0]
        for each in samples { energy.append(energy.last! + Int(each) * Int(each)) }
        var (best, least) = (first, Double.infinity)
        for place in stride(from: first, through: last, by: max(1, rate * 10 / 1000)) {
            let (begin, end) = (max(place - half, 0), min(place + half, samples.count))
            let power = Double(energy[end] - energy[begin]) / Double(end - begin)
            if power <= least { (best, least) = (place, power) }
        }
        return best
    }

    /// Of samples, the sum of their squares.
    static func power(_ samples: ArraySlice<Int16>) -> Double {
        var total = 0.0
        for each in samples { total += Double(each) * Double(each) }
        return total
    }

    /// Whether no 30 ms of samples are above -70 decibels of full scale.
    public static func silent(_ samples: ArraySlice<Int16>, rate: Int) -> Bool {
        let frame = max(1, rate * 30 / 1000)
        let limit = (3.2e-4 * 32768) * (3.2e-4 * 32768)
        return stride(from: samples.startIndex, to: samples.endIndex, by: frame).allSatisfy { at in
            let part = samples[at..<min(at + frame, samples.endIndex)]
            return power(part) / Double(frame) <= limit
        }
    }
}
