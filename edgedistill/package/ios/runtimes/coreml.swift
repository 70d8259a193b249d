import CoreML
import EdgeLogic
import Foundation

/// A model's programs in Core ML, each a package that is compiled on this device.
final class Runtime: Programs {
    private var models: [String: (model: MLModel, file: ModelFile)] = [:]

    /// threads: not asked for, as Core ML chooses the unit and its threads.
    init(_ description: Description, folder: URL, threads: Int) throws {
        let configuration = MLModelConfiguration()
        configuration.computeUnits = .all
        for file in description.files {
            models[file.program] = (try Self.opened(file, folder, configuration), file)
        }
    }

    /// Compiled once: what is kept in the app's caches opens faster, and is compiled anew where the
    /// system no longer takes it.
    private static func opened(
        _ file: ModelFile, _ folder: URL, _ configuration: MLModelConfiguration
    ) throws -> MLModel {
        let files = FileManager.default
        let caches = try files.url(
            for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        let kept = caches.appendingPathComponent("edgedistill", isDirectory: true)
        let place = kept.appendingPathComponent("\(file.sha256).mlmodelc")
        if let model = try? MLModel(contentsOf: place, configuration: configuration) {
            return model
        }
        let compiled = try MLModel.compileModel(at: folder.appendingPathComponent(file.file))
        try files.createDirectory(at: kept, withIntermediateDirectories: true)
        try? files.removeItem(at: place)
        try files.moveItem(at: compiled, to: place)
        return try MLModel(contentsOf: place, configuration: configuration)
    }

    func run(_ program: String, _ inputs: [String: Tensor]) throws -> [String: Tensor] {
        guard let (model, file) = models[program] else {
            throw ModelError.wrongUse("there is no program `\(program)`")
        }
        let given = try MLDictionaryFeatureProvider(dictionary: inputs.mapValues(array))
        let found = try model.prediction(from: given)
        var outputs = [String: Tensor]()
        for spec in file.outputs {
            guard let array = found.featureValue(for: spec.name)?.multiArrayValue else {
                throw ModelError.broken("the model gives no `\(spec.name)`")
            }
            outputs[spec.name] = try Tensor(
                dtype: spec.dtype, shape: spec.sizes, bytes: bytes(array, spec.dtype))
        }
        return outputs
    }

    private func array(_ tensor: Tensor) throws -> MLMultiArray {
        switch tensor.dtype {
        case "float32": return shaped(tensor, Float.self)
        case "int32": return shaped(tensor, Int32.self)
        default: throw ModelError.broken("Core ML takes no \(tensor.dtype)")
        }
    }

    private func shaped<Scalar: MLShapedArrayScalar>(_ tensor: Tensor, _: Scalar.Type)
        -> MLMultiArray
    {
        let values = tensor.bytes.withUnsafeBytes { Array($0.bindMemory(to: Scalar.self)) }
        return MLMultiArray(MLShapedArray<Scalar>(scalars: values, shape: tensor.shape))
    }

    /// In the order of the axes: what Core ML gives may be laid out with gaps.
    private func bytes(_ array: MLMultiArray, _ dtype: String) throws -> [UInt8] {
        switch dtype {
        case "float32":
            let values = MLShapedArray<Float>(converting: array).scalars
            return values.withUnsafeBytes { [UInt8]($0) }
        case "int32":
            let values = MLShapedArray<Int32>(converting: array).scalars
            return values.withUnsafeBytes { [UInt8]($0) }
        default: throw ModelError.broken("Core ML gives no \(dtype)")
        }
    }
}
