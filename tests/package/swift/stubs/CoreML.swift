// What the package for iOS uses of Core ML, declared after Apple's documentation: for type checks alone.
import Foundation

public enum MLComputeUnits { case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine }
public class MLModelConfiguration {
    public init() {}
    public var computeUnits: MLComputeUnits = .all
}
public class MLMultiArray {
    public convenience init<S: MLShapedArrayProtocol>(_ shapedArray: S) { fatalError() }
    init() {}
}
public class MLFeatureValue {
    public var multiArrayValue: MLMultiArray? { nil }
}
public protocol MLFeatureProvider {
    func featureValue(for featureName: String) -> MLFeatureValue?
}
public class MLDictionaryFeatureProvider: MLFeatureProvider {
    public init(dictionary: [String: Any]) throws {}
    public func featureValue(for featureName: String) -> MLFeatureValue? { nil }
}
public class MLModel {
    public convenience init(contentsOf url: URL, configuration: MLModelConfiguration) throws {
        fatalError()
    }
    init() {}
    public class func compileModel(at modelURL: URL) throws -> URL { modelURL }
    public func prediction(from input: MLFeatureProvider) throws -> MLFeatureProvider { input }
}
public protocol MLShapedArrayScalar {}
extension Float: MLShapedArrayScalar {}
extension Double: MLShapedArrayScalar {}
extension Int32: MLShapedArrayScalar {}
public protocol MLShapedArrayProtocol {}
public struct MLShapedArray<Scalar: MLShapedArrayScalar>: MLShapedArrayProtocol {
    public init<S: Sequence>(scalars: S, shape: [Int]) where S.Element == Scalar { fatalError() }
    public init(converting multiArray: MLMultiArray) { fatalError() }
    public var scalars: [Scalar] { [] }
}
