# An estate as operators have it, in the folder $1: kubeadm's PKI, Open5GS, free5GC, key stores of all kinds, Kubernetes objects, and what
# nobody wants to meet. All by the tools that write these: openssl, keytool, kubectl. No file in it is used by anything.
set -eu
cd "$1"

# ca NAME SUBJECT: a root with its key
ca() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.crt" -days 3650 -subj "/CN=$2"
}

# leaf CA NAME SUBJECT DAYS KEY...: a certificate of a CA, with its key
leaf() {
    ca=$1 name=$2 subject=$3 days=$4
    shift 4
    printf 'subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE\n' "$subject" >leaf.ext
    openssl req -new -newkey "$@" -nodes -keyout "$name.key" -subj "/CN=$subject" |
        openssl x509 -req -CA "$ca.crt" -CAkey "$ca.key" -CAcreateserial -days "$days" -out "$name.crt" -extfile leaf.ext
    rm leaf.ext "$ca.srl"
}

mkdir -p kubernetes/pki/etcd && cd kubernetes/pki
ca ca kubernetes
ca etcd/ca etcd-ca
leaf ca apiserver kube-apiserver 365 rsa:2048
leaf ca apiserver-kubelet-client kube-apiserver-kubelet-client 365 rsa:2048
leaf etcd/ca etcd/server etcd 20 rsa:2048
openssl genrsa -out sa.key 2048
chmod 644 sa.key
cd ../..

mkdir -p open5gs/tls free5gc/config free5gc/cert && cd open5gs/tls
ca ca open5gs-ca
leaf ca amf amf.5gc.mnc001.mcc001.3gppnetwork.org 90 ec -pkeyopt ec_paramgen_curve:P-256
leaf ca smf smf.5gc.mnc001.mcc001.3gppnetwork.org 90 ed25519
cd ../..
cat >open5gs/amf.yaml <<'YAML'
logger:
  file:
    path: /var/log/open5gs/amf.log
amf:
  sbi:
    server:
      - address: 127.0.0.5
        port: 7777
default:
  tls:
    server:
      scheme: https
      private_key: tls/amf.key
      cert: tls/amf.crt
      verify_client: true
      verify_client_cacert: tls/ca.crt
    client:
      scheme: https
      cacert: tls/ca.crt
      client_private_key: /etc/open5gs/tls/gone.key
      client_cert: tls/amf.crt
YAML
cp open5gs/tls/amf.crt free5gc/cert/amf.pem
cp open5gs/tls/amf.key free5gc/cert/amf.key
cat >free5gc/config/amfcfg.yaml <<'YAML'
info:
  version: 1.0.9
  description: AMF initial local configuration
configuration:
  amfName: AMF
  sbi:
    scheme: https
    registerIPv4: 127.0.0.18
    port: 8000
    tls:
      pem: cert/amf.pem
      key: cert/amf.key
  nrfUri: https://127.0.0.10:8000
  nrfCertPem: cert/nrf.pem
YAML

mkdir stores
tls=open5gs/tls
amf="-in $tls/amf.crt -inkey $tls/amf.key"
openssl pkcs12 -export $amf -certfile $tls/ca.crt -out stores/modern.p12 -passout pass:secret
openssl pkcs12 -export -legacy $amf -certfile $tls/ca.crt -out stores/rc2.p12 -passout pass:changeit
openssl pkcs12 -export -legacy $amf -certpbe PBE-SHA1-3DES -out stores/3des.pfx -passout pass:
openssl pkcs12 -export $amf -certpbe AES-128-CBC -macalg sha1 -out stores/aes128.p12 -passout pass:changeit
openssl pkcs12 -export -in $tls/smf.crt -inkey $tls/smf.key -certpbe NONE -keypbe NONE -nomac -out stores/plain.p12 -passout pass:
openssl crl2pkcs7 -nocrl -certfile $tls/amf.crt -certfile $tls/ca.crt -out stores/chain.p7b
openssl x509 -in $tls/smf.crt -outform DER -out stores/smf.der
openssl pkey -in $tls/smf.key -outform DER -out stores/smf-key.der
chmod 640 stores/smf-key.der
openssl pkey -in $tls/amf.key -aes256 -passout pass:secret -out stores/encrypted.key
openssl rsa -in kubernetes/pki/apiserver.key -traditional -aes256 -passout pass:secret -out stores/old-encrypted.key
openssl req -new -key $tls/smf.key -subj /CN=smf-next -out stores/smf.csr
store() { # FILE TYPE PASSWORD ALIAS KEY...
    file=$1 type=$2 password=$3 alias=$4
    shift 4
    keytool -genkeypair -keystore "stores/$file" -storetype "$type" -storepass "$password" -keypass "$password" \
        -alias "$alias" -dname "CN=java-$alias" "$@"
}
store java.jks JKS changeit amf -keyalg RSA -keysize 2048
keytool -importcert -noprompt -keystore stores/java.jks -storetype JKS -storepass changeit -alias root -file $tls/ca.crt
store java.jceks JCEKS secret1 smf -keyalg EC -groupname secp384r1
store java.p12 PKCS12 changeit upf -keyalg EC -groupname secp256r1

mkdir objects
dry="-n core --dry-run=client -o"
kubectl create secret tls amf-tls --cert=$tls/amf.crt --key=$tls/amf.key $dry yaml >objects/secret.yaml
kubectl create secret generic stores --from-file=stores/rc2.p12 --from-file=stores/java.jks $dry json >objects/stores.json
kubectl create configmap roots --from-file=ca.crt=$tls/ca.crt --from-file=open5gs/amf.yaml $dry yaml >objects/roots.yaml
pki=kubernetes/pki
client=$pki/apiserver-kubelet-client
kubeconfig="kubectl config --kubeconfig"
$kubeconfig=objects/admin.conf set-cluster c --server=https://127.0.0.1:6443 --certificate-authority=$pki/ca.crt --embed-certs=true
$kubeconfig=objects/admin.conf set-credentials admin --client-certificate=$client.crt --client-key=$client.key --embed-certs=true
$kubeconfig=kubelet.conf set-cluster c --server=https://127.0.0.1:6443 --certificate-authority=$pki/ca.crt

mkdir hostile && cd hostile
ln -s . loop
ln -s ../hostile again
ln -s nothing dangling
ln -s itself itself
mkfifo pipe
head -c 300000 /dev/zero | openssl enc -aes-128-ctr -nosalt -k x -pbkdf2 >junk.pem
: >empty.crt
head -c 100 /dev/zero >short.jks
truncate -s 3G huge.pem
yes text | head -c 70000000 >long.pem
head -c 700 ../open5gs/tls/ca.crt >cut.pem
ln -s ../open5gs/tls/amf.crt linked.crt
{
    echo "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"
    for level in 1 2 3 4 5 6 7 8 9; do
        below=$((level - 1))
        echo "a$level: &a$level [*a$below, *a$below, *a$below, *a$below, *a$below, *a$below, *a$below, *a$below, *a$below, *a$below]"
    done
    sed 's/^/# /' ../open5gs/tls/ca.crt
} >bomb.yaml
name=$(printf '=cmd\033[2J\342\200\256')
openssl req -x509 -newkey rsa:1024 -nodes -sha1 -keyout weak.key -out weak.pem -days 1 -utf8 -subj "/O=$name/CN=<b>bold<\/b>"
