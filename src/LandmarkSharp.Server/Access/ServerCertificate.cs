using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace LandmarkSharp.Server.Access;

/// <summary>The certificate that a server shows, and those that vouch for it.</summary>
internal sealed class ServerCertificate
{
    private ServerCertificate(X509Certificate2 own, X509Certificate2Collection chain) =>
        Options = new HttpsConnectionAdapterOptions { ServerCertificate = own, ServerCertificateChain = chain };

    /// <summary>How Kestrel is told.</summary>
    public HttpsConnectionAdapterOptions Options { get; }

    /// <summary>Reads it.</summary>
    /// <exception cref="LandmarkException">A file is not there, is none of a certificate, lacks the key, or needs another password.</exception>
    public static ServerCertificate Load(ServerOptions options)
    {
        var (file, password) = (options.Certificate!, options.CertificatePassword);
        try
        {
            if (Path.GetExtension(file).ToLowerInvariant() is ".pfx" or ".p12")
            {
                if (options.CertificateKey is not null)
                    throw new LandmarkException($"{file} holds its key itself; leave --certificate-key out, or give a certificate in PEM.");
                var all = X509CertificateLoader.LoadPkcs12Collection(File.ReadAllBytes(file), password);
                var own = all.FirstOrDefault(c => c.HasPrivateKey)
                    ?? throw new LandmarkException($"{file} holds no private key; export it with its key.");
                return new ServerCertificate(own, all);
            }
            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(file);
            return new ServerCertificate(
                password is null
                    ? X509Certificate2.CreateFromPemFile(file, options.CertificateKey)
                    : X509Certificate2.CreateFromEncryptedPemFile(file, password, options.CertificateKey),
                chain);
        }
        catch (CryptographicException e)
        {
            throw new LandmarkException(
                $"The certificate {file} cannot be used: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}; give PKCS#12 (.pfx), or PEM with its "
                + "key by --certificate-key, and the password of an encrypted key as LANDMARK_SERVER__CERTIFICATEPASSWORD.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LandmarkException($"The certificate {file} cannot be read: {e.Message.TrimEnd('.')}; check the path and its permissions.", e);
        }
    }
}
