// What the package for iOS uses of LiteRT's Swift, declared after its documentation: for type checks alone.
import Foundation

public protocol Delegate: AnyObject {}
public struct Tensor { public let data: Data }
public final class Interpreter {
    public struct Options {
        public init() {}
        public var threadCount: Int?
    }
    public init(modelPath: String, options: Options? = nil, delegates: [Delegate]? = nil) throws {}
    public var signatureKeys: [String] { [] }
    public func signatureRunner(with key: String) throws -> SignatureRunner { fatalError() }
    public func allocateTensors() throws {}
    public func invoke() throws {}
    @discardableResult
    public func copy(_ data: Data, toInputAt index: Int) throws -> Tensor { Tensor(data: data) }
    public func output(at index: Int) throws -> Tensor { Tensor(data: Data()) }
}
public final class SignatureRunner {
    public func allocateTensors() throws {}
    public func invoke() throws {}
    @discardableResult
    public func copy(_ data: Data, toInputNamed name: String) throws -> Tensor { Tensor(data: data) }
    public func output(named name: String) throws -> Tensor { Tensor(data: Data()) }
}
