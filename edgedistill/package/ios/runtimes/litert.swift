import EdgeLogic
import Foundation
import TensorFlowLite

/// A model's programs in LiteRT. A file that holds several has a signature for each but `main`.
final class Runtime: Programs {
    private enum Opened {
        case whole(Interpreter)
        case signature(Interpreter, SignatureRunner)
    }

    private var programs: [String: (opened: Opened, file: ModelFile)] = [:]

    init(_ description: Description, folder: URL, threads: Int) throws {
        for file in description.files {
            var options = Interpreter.Options()
            options.threadCount = threads
            let path = folder.appendingPathComponent(file.file).path
            let interpreter = try Interpreter(modelPath: path, options: options)
            try interpreter.allocateTensors()
            let alone = file.program == "main" || !interpreter.signatureKeys.contains(file.program)
            let opened: Opened =
                alone
                ? .whole(interpreter)
                : .signature(interpreter, try interpreter.signatureRunner(with: file.program))
            programs[file.program] = (opened, file)
        }
    }

    func run(_ program: String, _ inputs: [String: EdgeLogic.Tensor]) throws
        -> [String: EdgeLogic.Tensor]
    {
        guard let (opened, file) = programs[program] else {
            throw ModelError.wrongUse("there is no program `\(program)`")
        }
        var outputs = [String: EdgeLogic.Tensor]()
        func keep(_ data: Data, _ spec: TensorSpec) throws {
            outputs[spec.name] = try EdgeLogic.Tensor(
                dtype: spec.dtype, shape: spec.sizes, bytes: [UInt8](data))
        }
        switch opened {
        case .whole(let interpreter):
            for (place, spec) in file.inputs.enumerated() {
                try interpreter.copy(Data(try given(spec, inputs)), toInputAt: place)
            }
            try interpreter.invoke()
            for (place, spec) in file.outputs.enumerated() {
                try keep(try interpreter.output(at: place).data, spec)
            }
        case .signature(_, let runner):
            try runner.allocateTensors()
            for spec in file.inputs {
                try runner.copy(Data(try given(spec, inputs)), toInputNamed: spec.name)
            }
            try runner.invoke()
            for spec in file.outputs { try keep(try runner.output(named: spec.name).data, spec) }
        }
        return outputs
    }

    private func given(_ spec: TensorSpec, _ inputs: [String: EdgeLogic.Tensor]) throws -> [UInt8] {
        guard let tensor = inputs[spec.name] else {
            throw ModelError.wrongUse("the model takes `\(spec.name)` too")
        }
        return tensor.bytes
    }
}

extension Foundation.Bundle {
    /// Where CocoaPods puts the resources; a Swift package has this of its own.
    static var module: Foundation.Bundle { Foundation.Bundle(for: Runtime.self) }
}
