import EdgeLogic
import Foundation
import OnnxRuntimeBindings

/// A model's programs in ONNX Runtime, each file a session.
final class Runtime: Programs {
    private let env: ORTEnv
    private var sessions: [String: (session: ORTSession, file: ModelFile)] = [:]

    init(_ description: Description, folder: URL, threads: Int) throws {
        env = try ORTEnv(loggingLevel: .warning)
        for file in description.files {
            let options = try ORTSessionOptions()
            try options.setIntraOpNumThreads(Int32(threads))
            try options.setGraphOptimizationLevel(.all)
            let path = folder.appendingPathComponent(file.file).path
            let session = try ORTSession(env: env, modelPath: path, sessionOptions: options)
            sessions[file.program] = (session, file)
        }
    }

    func run(_ program: String, _ inputs: [String: Tensor]) throws -> [String: Tensor] {
        guard let (session, file) = sessions[program] else {
            throw ModelError.wrongUse("there is no program `\(program)`")
        }
        let given = try inputs.mapValues { tensor in
            try ORTValue(
                tensorData: NSMutableData(data: Data(tensor.bytes)),
                elementType: try elementType(tensor.dtype),
                shape: tensor.shape.map { NSNumber(value: $0) })
        }
        let found = try session.run(
            withInputs: given, outputNames: Set(file.outputs.map(\.name)), runOptions: nil)
        var outputs = [String: Tensor]()
        for spec in file.outputs {
            guard let value = found[spec.name] else { continue }
            let bytes = [UInt8](Data(referencing: try value.tensorData()))
            outputs[spec.name] = try Tensor(dtype: spec.dtype, shape: spec.sizes, bytes: bytes)
        }
        return outputs
    }

    private func elementType(_ dtype: String) throws -> ORTTensorElementDataType {
        switch dtype {
        case "float32": return .float
        case "int8": return .int8
        case "uint8": return .uInt8
        case "int32": return .int32
        default: throw ModelError.broken("ONNX Runtime's Swift takes no \(dtype)")
        }
    }
}
