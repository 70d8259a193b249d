// Runs the logic of a package for iOS on Linux; the model's programs are run by who started it,
// asked line by line.
import EdgeLogic
import Foundation

struct Packed: Codable {
    let dtype: String
    let shape: [Int]
    let bytes: Data

    init(_ tensor: Tensor) {
        (dtype, shape, bytes) = (tensor.dtype, tensor.shape, Data(tensor.bytes))
    }

    func tensor() throws -> Tensor { try Tensor(dtype: dtype, shape: shape, bytes: [UInt8](bytes)) }
}

struct Ask: Codable {
    let program: String
    let inputs: [String: Packed]
}

func say<T: Encodable>(_ value: T) throws {
    print(String(decoding: try JSONEncoder().encode(value), as: UTF8.self))
    fflush(stdout)
}

struct Outside: Programs {
    func run(_ program: String, _ inputs: [String: Tensor]) throws -> [String: Tensor] {
        try say(Ask(program: program, inputs: inputs.mapValues(Packed.init)))
        guard let line = readLine() else { throw ModelError.broken("nobody answers") }
        let found = try JSONDecoder().decode([String: Packed].self, from: Data(line.utf8))
        return try found.mapValues { try $0.tensor() }
    }
}

struct Case: Codable {
    let height, width, channels: Int
    let bytes: Data
    let preprocessing: Preprocessing
}

let (command, argument) = (CommandLine.arguments[1], URL(fileURLWithPath: CommandLine.arguments[2]))
switch command {
case "prepare":
    for each in try JSONDecoder().decode([Case].self, from: Data(contentsOf: argument)) {
        let picture = try Pixels(
            height: each.height, width: each.width, channels: each.channels,
            bytes: [UInt8](each.bytes))
        try say(Data(picture.prepared(each.preprocessing).bytes))
    }
case "selftest":
    let told = try Description.read(from: argument)
    let check = try SelfTest(told, folder: argument).run(Outside())
    try say(["worst": check.worst, "tolerance": check.tolerance])
case "listen":
    let told = try Description.read(from: argument)
    var listener = try Listener(told, Outside())
    let sound = try Data(contentsOf: URL(fileURLWithPath: CommandLine.arguments[3]))
    let samples = Sounds.reals(try Sounds.wav(sound, rate: told.listening!.rate))
    var found = [[String]]()
    for begin in stride(from: 0, to: samples.count, by: 1000) {
        let chunk = Array(samples[begin..<min(begin + 1000, samples.count)])
        found += try listener.feed(chunk, Outside()).map {
            [$0.keyword, "\($0.seconds)", "\($0.confidence)"]
        }
    }
    try say(found)
default:
    fatalError("unknown command \(command)")
}
