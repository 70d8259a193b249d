#if canImport(CoreGraphics)
    import CoreGraphics
    import EdgeLogic

    extension Pixels {
        /// An image as an app has it, in sRGB; what is transparent is laid over white. It is drawn
        /// as it lies: an orientation that a photo only notes has to be applied before.
        public init(_ image: CGImage) throws {
            let (width, height) = (image.width, image.height)
            var bytes = [UInt8](repeating: 255, count: width * height * 4)
            let space = CGColorSpace(name: CGColorSpace.sRGB) ?? CGColorSpaceCreateDeviceRGB()
            let drawn = bytes.withUnsafeMutableBytes { buffer -> Bool in
                guard
                    let context = CGContext(
                        data: buffer.baseAddress, width: width, height: height, bitsPerComponent: 8,
                        bytesPerRow: width * 4, space: space,
                        bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
                else { return false }
                context.setBlendMode(.normal)
                context.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
                return true
            }
            guard drawn else { throw ModelError.wrongUse("the image cannot be drawn") }
            let colors = (0..<width * height).flatMap { bytes[4 * $0..<4 * $0 + 3] }
            try self.init(height: height, width: width, channels: 3, bytes: colors)
        }
    }
#endif
