// What the package for iOS uses of ONNX Runtime, declared after its Objective-C headers: for type checks
// alone.
import Foundation

public enum ORTLoggingLevel: Int { case verbose, info, warning, error, fatal }
public enum ORTGraphOptimizationLevel: Int { case none, basic, extended, all }
public enum ORTTensorElementDataType: Int32 {
    case undefined, float, int8, uInt8, int32, uInt32, int64, uInt64, string
}
open class ORTEnv: NSObject {
    public init(loggingLevel: ORTLoggingLevel) throws {}
}
open class ORTSessionOptions: NSObject {
    public init(_: Void = ()) throws {}
    open func setIntraOpNumThreads(_ intraOpNumThreads: Int32) throws {}
    open func setGraphOptimizationLevel(_ level: ORTGraphOptimizationLevel) throws {}
}
open class ORTRunOptions: NSObject {}
open class ORTValue: NSObject {
    public init(
        tensorData: NSMutableData, elementType: ORTTensorElementDataType, shape: [NSNumber]
    ) throws {}
    open func tensorData() throws -> NSMutableData { NSMutableData() }
}
open class ORTSession: NSObject {
    public init(env: ORTEnv, modelPath: String, sessionOptions: ORTSessionOptions?) throws {}
    open func run(
        withInputs: [String: ORTValue], outputNames: Set<String>, runOptions: ORTRunOptions?
    ) throws -> [String: ORTValue] { [:] }
}
